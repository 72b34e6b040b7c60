"""CutMix: a mean teacher with rectangles (French et al., BMVC 2020), from photographs to medical images."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.boxes import box_masks, draw_boxes
from m3hl.methods.parts.losses import single, supervised_loss
from m3hl.methods.parts.mix import mix
from m3hl.methods.parts.schedules import ramp_of_run, warm_up_decay
from m3hl.methods.parts.teacher import update_teacher


class Method(method.Method):
    """A student whose prediction of a mixture must equal the mixture of its teacher's predictions."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.student = self.new_network()
        starts_as_student = self.options.teacher_starts_as == "student"
        self.teacher = copy.deepcopy(self.student) if starts_as_student else self.new_network()
        self.teacher.requires_grad_(False)

    def new_network(self) -> nn.Module:
        """Return a network with random weights."""
        settings = self.settings
        return nets.build(**settings.network)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = L_sup + w(t) · L_con; the unlabeled batch's halves are a and b, and pairs go by position."""
        options = self.options
        a, b = batch.unlabeled_images.chunk(2)
        mask = self.draw_masks(batch)
        supervised = supervised_loss(
            self.student(batch.labeled_images).logits,
            batch.labels,
            options.supervised,
            options.dice,
            options.dice_epsilon,
        )
        # In train mode, as the student: batch statistics of a alone, then of b, and dropout.
        with torch.no_grad():
            taught_a, taught_b = (single(self.teacher(images).logits).softmax(1) for images in (a, b))
            # The same as the softmax of mixed logits, as the mask selects.
            target = mix(taught_b, taught_a, mask)
        # A pass of its own: the student's running statistics move twice in an iteration.
        mixed = single(self.student(mix(b, a, mask)).logits).softmax(1)
        consistency = squared_difference(mixed, target, options.consistency_classes)
        logged = {}
        if options.confidence_threshold is not None:
            logged["confident"] = confident_share(target, options.confidence_threshold)
            consistency = logged["confident"] * consistency
        weight = options.consistency_weight * ramp_of_run(batch, options.ramp_length, options.ramp_step)
        loss = supervised + weight * consistency
        logged["weight"] = torch.full_like(loss, weight)
        return {"loss": loss, "supervised": supervised, "consistency": consistency} | logged

    def draw_masks(self, batch: Batch) -> Tensor:
        """Return M (B_u / 2, *crop), true inside each pair's box, where image b is seen."""
        boxes = draw_boxes(batch.rng, self.unlabeled_batch // 2, self.settings.crop, self.options.box_share)
        return box_masks(boxes, self.settings.crop, batch.unlabeled_images.device)

    def pseudo_labels(self, network: Callable[[Tensor], nets.Output], images: Tensor) -> Tensor:
        """Return the labels that a network as teacher gives unlabeled images, half after half."""
        return torch.cat([network(half).logits.argmax(1) for half in images.chunk(2)])

    def after_step(self, batch: Batch) -> None:
        """Let the teacher follow the student."""
        o = self.options
        decay = warm_up_decay(batch.iteration, o.ema_decay) if o.ema_warm_up else o.ema_decay
        update_teacher(self.teacher, self.student, decay, buffers=o.ema_buffers)

    def results(self) -> dict[str, nn.Module]:
        """Return the network that is evaluated."""
        return {self.options.result: getattr(self, self.options.result)}

    def networks(self) -> dict[str, nn.Module]:
        """Return student and teacher, the result first."""
        return self.results() | {"student": self.student, "teacher": self.teacher}


def squared_difference(p: Tensor, q: Tensor, classes: str) -> Tensor:
    """Return the mean over samples and voxels of Σ_c (p_c − q_c)², or of its mean over classes.

    Args:
        p, q: (B, C, *), probabilities.
        classes: "sum" or "mean".
    """
    difference = (p - q).square()
    return (difference.sum(1) if classes == "sum" else difference).mean()


def confident_share(q: Tensor, threshold: float) -> Tensor:
    """Return κ, the share of all voxels with max_c q_c ≥ threshold: one number, no mask.

    It takes the place of a ramp: a young teacher is sure of little.
    """
    return (q.amax(1) >= threshold).to(q.dtype).mean()
