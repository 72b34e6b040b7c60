"""BCP: bidirectional copy-paste (Bai et al., CVPR 2023), in two stages: pretraining, then self-training."""

import copy

from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods.method import Selected
from m3hl.methods.parts.boxes import box_masks, draw_pasted_box
from m3hl.methods.parts.copy_paste import CopyPaste
from m3hl.methods.parts.losses import segmentation_loss
from m3hl.methods.parts.mix import mix
from m3hl.methods.parts.optimization import constant, give_momentum, sgd_update
from m3hl.methods.parts.teacher import update_teacher
from m3hl.methods.update import Update


class Boxed(CopyPaste):
    """What both stages have: the box, and the loss of one side of it."""

    def draw_mask(self, batch: Batch) -> Tensor:
        """Return M (B/2, *crop), 0 in the box and 1 outside: one box for all samples of a step."""
        crop = self.settings.crop
        box = box_masks(draw_pasted_box(batch.rng, crop), crop, batch.labeled_images.device)
        return (~box).float().expand(self.labeled_batch // 2, *crop)

    def region_loss(self, logits: Tensor, target: Tensor, region: Tensor) -> Tensor:
        """Return cross entropy and Dice loss of a region, of whose background `background_dice` says more."""
        o = self.options
        in_region = o.background_dice == "region"
        return segmentation_loss(logits, target, region, o.dice, o.reduction, background_region=in_region)


class Pretraining(Boxed):
    """One network learns from labeled images, half of which are pasted into the others."""

    stage = "pretraining"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.unlabeled_batch = 0
        self.keeps_momentum = self.options.hand_over_momentum
        self.student = nets.build(**settings.network)

    @classmethod
    def length(cls, settings: RunSettings) -> int:
        """Return the iterations of this stage."""
        return settings.options.pretraining_iterations

    def updates(self) -> list[Update]:
        """Return the update by SGD with a constant step size."""
        return [sgd_update(self.losses, self.trained(), constant(self.options))]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of a · M + b · (1 − M), where a and b are the batch's halves.

        "regions" is the sum over the sides of the box, each normalised by itself: about twice a plain loss.
        """
        mask = self.draw_mask(batch)
        (image_a, image_b), (label_a, label_b) = batch.labeled_images.chunk(2), batch.labels.chunk(2)
        logits = self.student(mix(image_a, image_b, mask)).logits
        if self.options.pretraining_loss == "regions":
            return {"loss": self.region_loss(logits, label_a, mask) + self.region_loss(logits, label_b, 1 - mask)}
        labels = mix(label_a, label_b, mask)
        return {"loss": segmentation_loss(logits, labels, None, self.options.dice, self.options.reduction)}


class Method(Boxed):
    """Student and teacher, which begin as the pretrained network; L is the loss of both streams' both sides."""

    stage = "self-training"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.student = nets.build(**settings.network)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def take_over(self, selected: dict[str, Selected], updates: list[Update]) -> None:
        """Begin as the selected network of the first stage, whose momentum is empty unless it was kept."""
        weights, momentum = selected["student"]
        self.student.load_state_dict(weights)
        self.teacher.load_state_dict(weights)
        give_momentum(updates, self.student, momentum)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = Σ over streams of Σ over sides of weight · (Dice + CE) / 2: no supervised term, no ramp."""
        term_a, term_b = self.mix_losses(self.paste(self.student, batch, self.draw_mask(batch)))
        return {"loss": term_a + term_b, "stream_a": term_a, "stream_b": term_b}

    def after_step(self, _: Batch) -> None:
        """Let the teacher follow the student, with the same decay from the first step on."""
        update_teacher(self.teacher, self.student, self.options.ema_decay, buffers=self.options.ema_buffers)

    def networks(self) -> dict[str, nn.Module]:
        """Return student and teacher."""
        return {"student": self.student, "teacher": self.teacher}


STAGES = (Pretraining, Method)
