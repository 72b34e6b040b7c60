"""MC-Net and MC-Net+: decoders that agree with each other's sharpened maps (Wu et al., MedIA 2022)."""

from itertools import permutations

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.losses import foreground_dice, one_hot, single
from m3hl.methods.parts.schedules import ramp_of_run

FURTHER = {2: ("transposed", "nearest"), 3: ("linear", "nearest")}
"""How decoders 2 and 3 up-sample, by dimension; decoder 1 is the network's own."""


class Method(method.Method):
    """One encoder with two or three decoders, of which the first is the network's and the result."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        shape = settings.dimensions, len(settings.classes) + 1, settings.channels
        self.student = self.new_network()
        ways = FURTHER[settings.dimensions][: self.options.decoders - 1]
        self.decoders = nn.ModuleList(nets.build_decoder(*shape, way) for way in ways)

    def trained(self) -> list[nn.Module]:
        """Return the network and the further decoders, which are neither validated nor exported."""
        return [self.student, self.decoders]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = a · L_sup + w(t) · L_con, from one pass of all images through encoder and decoders."""
        options, labeled = self.options, len(batch.labels)
        predictions = self.predictions(torch.cat([batch.labeled_images, batch.unlabeled_images]))
        supervised = torch.stack([self.supervised_loss(p[:labeled], batch.labels) for p in predictions]).sum()
        consistency = self.consistency_loss(predictions)
        ramp = ramp_of_run(batch, options.ramp_length, options.ramp_step, options.ramp_start)
        weight = options.weight * ramp
        loss = options.supervised_weight * supervised + weight * consistency
        return {
            "loss": loss,
            "supervised": supervised,
            "consistency": consistency,
            "weight": torch.full_like(loss, weight),
        }

    def predictions(self, images: Tensor) -> list[Tensor]:
        """Return each decoder's softmax (B, C, *); all read the same features, with one draw of dropout."""
        levels = self.student.encoder(images).levels
        return [single(decoder(levels).logits).softmax(1) for decoder in (self.student.decoder, *self.decoders)]

    def supervised_loss(self, p: Tensor, labels: Tensor) -> Tensor:
        """Return one decoder's L_sup of labeled samples, Dice alone, sums over voxels and samples together.

        "halved" is the mean over all classes of 1 − Σ p y / (Σ p² + Σ y + ε), ε = 1e-10: as there is no 2, it is
        never less than a half. "plain" is of the foreground alone.
        """
        if self.options.dice == "halved":
            y, axes = one_hot(labels, p.shape[1], p.dtype), (0, *range(2, p.ndim))
            sizes = p.square().sum(axes) + y.sum(axes)
            return (1 - (p * y).sum(axes) / (sizes + 1e-10)).mean()
        return foreground_dice(p, labels)

    def consistency_loss(self, predictions: list[Tensor]) -> Tensor:
        """Return L_con = Σ over ordered pairs i ≠ j of mean (p_i − S(p_j))², over all samples, classes and voxels.

        S(p_j) is not detached: through it flows the larger part of the gradient.
        """
        sharpened = [sharpen(p, self.options.temperature) for p in predictions]
        pairs = permutations(range(len(predictions)), 2)
        return torch.stack([(predictions[i] - sharpened[j]).square().mean() for i, j in pairs]).sum()


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """Return S(p) = p^(1/T) / (p^(1/T) + (1 − p)^(1/T)), each class on its own: of several the sum is not 1."""
    yes, no = (x.pow(1 / temperature) for x in (p, 1 - p))
    return yes / (yes + no)
