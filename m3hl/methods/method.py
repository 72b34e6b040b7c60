"""What the training loop needs to know of a method: a method says what is done, the loop does it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import Tensor, nn

from m3hl.compute.team import Team
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.errors import UserError
from m3hl.inference.network import new_network
from m3hl.methods.parts.optimization import sgd_update
from m3hl.methods.update import Update
from m3hl.nets.output import Output


class Selected(NamedTuple):
    """What a stage hands over to the next: a network as it was at the iteration that was selected.

    Attributes:
        weights: parameters and running statistics by name, on the CPU.
        momentum: SGD's, by the parameter's name; empty unless the stage `keeps_momentum`.
    """

    weights: dict[str, Tensor]
    momentum: dict[str, Tensor]


class Method(nn.Module):
    """One stage of a run, for most methods the only one: networks, and what an iteration does with them.

    With a `student` and its `losses` a method is complete; everything else has a default. What an iteration hands
    on to the next is kept in submodules and buffers, which are in checkpoints; random choices come from the batch;
    and each iteration begins with every part in training mode. So a run that was killed ends with the same bits.

    Attributes:
        student: the network that is trained, selected and evaluated, unless `trained` and `results` say otherwise.
        settings: of the run.
        options: the method's knobs.
        labeled_batch, unlabeled_batch: samples that an iteration wants; none of a kind is fine.
        stage: what this stage is called.
        keeps_momentum: whether SGD's momentum is selected with the weights, for the next stage.
    """

    student: nn.Module
    stage = "training"
    keeps_momentum = False

    def __init__(self, settings: RunSettings) -> None:
        super().__init__()
        self.settings, self.options = settings, settings.options
        self.labeled_batch, self.unlabeled_batch = settings.labeled_batch, settings.unlabeled_batch

    def new_network(self) -> nn.Module:
        """Return a network with random weights: a U-Net or V-Net, or what the configuration names in its place."""
        return new_network(self.settings)

    @classmethod
    def length(cls, settings: RunSettings) -> int:
        """Return the iterations of this stage."""
        return settings.iterations

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalars by name; "loss" is minimised, the others are logged."""
        raise NotImplementedError

    def trained(self) -> Iterable[nn.Module]:
        """Return what is trained with `losses`: networks, and parts that are neither validated nor exported."""
        return [self.student]

    def updates(self) -> list[Update]:
        """Return the updates of one iteration, in order: losses, their optimiser, and its learning rate."""
        return [sgd_update(self.losses, self.trained(), self.options)]

    def after_step(self, batch: Batch) -> None:
        """Update what follows the trained networks; called at the end of each iteration."""

    def results(self) -> dict[str, nn.Module]:
        """Return the networks that are selected, each by its own validation, by name; the first is the result.

        Each is as `new_network` makes it, or an `nets.Ensemble` of such, as it is saved without its class.
        """
        return {"student": self.student}

    def networks(self) -> dict[str, nn.Module]:
        """Return the networks that shall have a learning curve, by name; results always have one."""
        return self.results()

    def take_over(self, selected: dict[str, Selected], updates: list[Update]) -> None:
        """Begin from the results of the stage before; `updates` are this stage's, fresh."""

    def pseudo_labels(self, network: Callable[[Tensor], Output], images: Tensor) -> Tensor:
        """Return the labels (B_u, *) that the method would make of unlabeled images (B_u, C, *) with a network."""
        return network(images).logits.argmax(1)

    def join(self, team: Team) -> None:
        """Train with other processes; raises `UserError` where a method cannot be shared out."""
        if team.size > 1:
            raise UserError(f"method {self.settings.method} is trained by one process; start one")
