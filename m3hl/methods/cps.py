"""CPS: cross pseudo supervision (Chen et al., CVPR 2021), as the SSL4MIS benchmark ported it to medical images."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.losses import cross_entropy, single, supervised_loss
from m3hl.methods.parts.schedules import ramp_of_run


class Method(method.Method):
    """Two networks that differ by their initial weights alone, each taught by the other's labels."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.network_1, self.network_2 = (nets.build(**settings.network) for _ in range(2))
        if self.options.initialization == "normal":
            draw_convolutions(self.network_1, nn.init.kaiming_normal_)
            draw_convolutions(self.network_2, nn.init.xavier_normal_)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = Σ_j [L_sup,j + w(t) · L_cps,j]."""
        images = torch.cat([batch.labeled_images, batch.unlabeled_images])
        # The same images, one joint pass each, with dropout of their own.
        logits_1, logits_2 = (single(network(images).logits) for network in (self.network_1, self.network_2))
        labeled = len(batch.labels)
        first = 0 if self.options.cross_on == "all" else labeled
        supervised_1, supervised_2 = (
            supervised_loss(logits[:labeled], batch.labels) for logits in (logits_1, logits_2)
        )
        cross_1 = cross_loss(logits_1[first:], logits_2[first:])
        cross_2 = cross_loss(logits_2[first:], logits_1[first:])
        weight = self.options.weight * ramp_of_run(batch, self.options.ramp_length, self.options.ramp_step)
        loss = supervised_1 + weight * cross_1 + supervised_2 + weight * cross_2
        return {
            "loss": loss,
            "supervised_1": supervised_1,
            "supervised_2": supervised_2,
            "cross_1": cross_1,
            "cross_2": cross_2,
            "weight": torch.full_like(loss, weight),
        }

    def trained(self) -> Iterable[nn.Module]:
        """Return both networks: one optimiser over both is one over each, as nothing in it mixes parameters."""
        return [self.network_1, self.network_2]

    def results(self) -> dict[str, nn.Module]:
        """Return both networks, each selected by its own validation; the first is reported."""
        return {"network_1": self.network_1, "network_2": self.network_2}


def cross_loss(logits: Tensor, others: Tensor) -> Tensor:
    """Return the mean cross entropy of logits (B, C, *) against the other network's pseudo-labels.

    These are the arg max of the very pass that is trained on, dropout included, and are not cleaned; of a tie the
    first class; no gradient passes through them.
    """
    return cross_entropy(logits, others.argmax(1))


def draw_convolutions(network: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
    """Draw the weights of all convolutions anew but for transposed ones; biases stay as they are."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            draw(module.weight)
