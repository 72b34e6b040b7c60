"""OMF: overlay mantle-free (Liu et al., MICCAI 2024), in two stages: pretraining, then a frozen teacher."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.losses import segmentation_loss, single
from m3hl.methods.parts.mix import mix
from m3hl.methods.parts.optimization import sgd_update
from m3hl.methods.parts.teacher import pseudo_label
from m3hl.methods.update import Update


class Pretraining(method.Method):
    """One network learns from labeled images, and from one half of them laid over the other."""

    stage = "pretraining"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.unlabeled_batch = 0
        self.student = self.new_network()

    @classmethod
    def length(cls, settings: RunSettings) -> int:
        """Return the iterations of this stage."""
        return settings.options.pretraining_iterations

    def updates(self) -> list[Update]:
        """Return the update by SGD with the schedule of this stage."""
        o = self.options
        schedule = {
            "learning_rate_decay_every": o.pretraining_decay_every,
            "learning_rate_decay": o.pretraining_decay,
            "learning_rate_power": None,
        }
        return [sgd_update(self.losses, self.trained(), o.model_copy(update=schedule))]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = ℓ(overlay of a on b) + ℓ(a) + ℓ(b) with ℓ = (CE + Dice) / 2; a and b are the batch's halves.

        Three passes one after the other, each with batch statistics of its own.
        """
        (image_a, image_b), (label_a, label_b) = batch.labeled_images.chunk(2), batch.labels.chunk(2)
        overlay = overlaid(image_a, image_b, label_a), overlaid(label_a, label_b, label_a)
        passes = {"mixed": overlay, "plain_a": (image_a, label_a), "plain_b": (image_b, label_b)}
        parts = {
            name: segmentation_loss(self.student(images).logits, labels, None, self.options.dice, "mean")
            for name, (images, labels) in passes.items()
        }
        return {"loss": torch.stack(list(parts.values())).sum()} | parts


class Method(method.Method):
    """A copy of the pretrained network learns to see through a mantle what the frozen one sees without it."""

    stage = "mantle-free"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.labeled_batch = 0
        self.student = self.new_network()
        # Never updated: no more than its running statistics move, in its own passes.
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def take_over(self, selected: dict[str, method.Selected], _: list[Update]) -> None:
        """Begin as the selected network of the first stage; SGD begins anew."""
        self.student.load_state_dict(selected["student"].weights)
        self.teacher.load_state_dict(selected["student"].weights)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = 1.7 · mean (softmax(f_S(x)) − softmax(f_T(u_a)))² over samples, classes and voxels.

        x is u_a under the mantle: the foreground that the teacher sees in u_b, with what is seen there in u_b. The
        target is the teacher's prediction of u_a alone, under the mantle too: that is the point.
        """
        image_a, image_b = batch.unlabeled_images.chunk(2)
        with torch.no_grad():
            target = single(self.teacher(image_a).logits).softmax(1)
            mantle = pseudo_label(self.teacher(image_b).logits)
        seen = overlaid(image_b, image_a, mantle)
        difference = (single(self.student(seen).logits).softmax(1) - target).square().mean()
        covered = (mantle > 0).float().mean()
        return {"loss": self.options.consistency_weight * difference, "consistency": difference, "mantle": covered}

    def pseudo_labels(self, network: Callable[[Tensor], nets.Output], images: Tensor) -> Tensor:
        """Return the labels that a network as teacher gives unlabeled images, half after half."""
        return torch.cat([pseudo_label(network(half).logits) for half in images.chunk(2)])

    def networks(self) -> dict[str, nn.Module]:
        """Return student and teacher."""
        return {"student": self.student, "teacher": self.teacher}


def overlaid(upper: Tensor, lower: Tensor, labels: Tensor) -> Tensor:
    """Return y · upper + (1 − y) · lower: the foreground of one, exactly where it lies, over another.

    Args:
        upper, lower: images (B, C, *) or label maps (B, *).
        labels: (B, *) of `upper`; y is 1 where they are above 0.
    """
    return mix(upper, lower, labels > 0)


STAGES = (Pretraining, Method)
