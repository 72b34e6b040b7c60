"""What the training loop needs to know of a method."""

from collections.abc import Callable

from torch import Tensor, nn

from m3hl.compute.team import Team
from m3hl.data.batches import Batch
from m3hl.errors import UserError
from m3hl.nets.output import Output


class Method(nn.Module):
    """A network in training, with the losses that train it.

    Attributes:
        student: the network that is optimised, selected and evaluated.
        labeled_batch, unlabeled_batch: samples that a step wants; the loop draws them.
    """

    student: nn.Module
    labeled_batch: int
    unlabeled_batch: int

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalar losses by name; "loss" is the one to minimise, the others are logged."""
        raise NotImplementedError

    def pseudo_labels(self, network: Callable[[Tensor], Output], images: Tensor) -> Tensor:
        """Return the labels (B_u, *) that the method would make of unlabeled images (B_u, 1, *) with a network."""
        return network(images).logits.argmax(1)

    def join(self, team: Team) -> None:
        """Train with other processes; raises `UserError` where a method cannot be shared out."""
        if team.size > 1:
            raise UserError("only method m3hl is trained by two processes; start one")

    def after_step(self) -> None:
        """Update what follows the student; called after each optimiser step."""

    def networks(self) -> dict[str, nn.Module]:
        """Return the networks that are validated, by name; the first is the student."""
        return {"student": self.student}
