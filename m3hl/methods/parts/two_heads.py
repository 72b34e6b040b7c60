"""A network with a second head that predicts signed distances: what DTC and SASSNet have in common."""

import torch
from torch import Tensor, nn

from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.distances import signed_distances
from m3hl.methods.parts.losses import dice_loss, single
from m3hl.methods.parts.schedules import ramp_of_run


class TwoHeads(method.Method):
    """The plain network segments; beside its head a second one, of the same kind, predicts signed distances.

    With one foreground class there is a single logit z: the head's row of the background is 0, and as no gradient
    reaches it, it stays 0. So the softmax of the logits (0, z), which validation and `m3hl predict` see, is the
    sigmoid of z.
    """

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.foreground = len(settings.classes)
        self.student = self.new_network()
        head = self.student.decoder.head
        self.distance_head = type(head)(head.in_channels, self.foreground, head.kernel_size, padding=head.padding)
        if self.foreground == 1:
            with torch.no_grad():
                head.weight[0], head.bias[0] = 0, 0

    def trained(self) -> list[nn.Module]:
        """Return network and second head; the latter is neither validated nor exported."""
        return [self.student, self.distance_head]

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probabilities p (B, C, *) of all classes, and t (B, C − 1, *) of the foreground, in (−1, 1).

        t is negative inside. The second head computes in single precision: DTC asks on which side of 0 a voxel is.
        """
        out = self.student(images)
        with torch.autocast(images.device.type, enabled=False):
            t = self.distance_head(single(out.head_input)).tanh()
        return self.probability(single(out.logits)), t

    def probability(self, logits: Tensor) -> Tensor:
        """Return p (B, C, *): the softmax, or 1 − sigmoid(z) and sigmoid(z)."""
        if self.foreground > 1:
            return logits.softmax(1)
        p = logits[:, 1:].sigmoid()
        return torch.cat([1 - p, p], dim=1)

    def labeled_losses(self, p: Tensor, t: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return L_dice and L_dist of labeled samples; no cross entropy is trained on.

        L_dice is 1 − (2 Σ p y + ε) / (Σ p² + Σ y + ε), or with Σ p and for each sample where `dice` is "plain": of
        several classes the mean, background included; of one the foreground's alone. L_dist is the mean of
        (t − s)² over samples, classes and voxels.

        Args:
            p: (B, C, *), probabilities; what follows the labeled samples does not count.
            t: (B, C − 1, *), predicted distances; the same.
            labels: (B_l, *).
        """
        several = self.foreground > 1
        dice = dice_loss(
            p[: len(labels)],
            labels,
            torch.ones_like(labels, dtype=p.dtype),
            self.options.dice,
            epsilon=None if several else 1e-5,
            background=several,
        )
        target = signed_distances(labels, self.foreground, self.options.absent)
        return dice, (t[: len(labels)] - target).square().mean()

    def ramp(self, batch: Batch) -> float:
        """Return exp(−5 (1 − min(⌊t / step⌋, R) / R)²), by which the loss of unlabeled images comes in."""
        return ramp_of_run(batch, self.options.ramp_length, self.options.ramp_step)
