"""ABD: adaptive bidirectional displacement (Chi et al., CVPR 2024), on top of BCP."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import bcp
from m3hl.methods.method import Selected
from m3hl.methods.parts.cutout_jitter import strong_view
from m3hl.methods.parts.displacement import displaced
from m3hl.methods.parts.losses import dice_loss, single
from m3hl.methods.parts.optimization import give_momentum
from m3hl.methods.parts.teacher import update_teacher
from m3hl.methods.update import Update

EPSILON = 1e-5
"""Of the Dice loss between the students."""


class Method(bcp.Boxed):
    """BCP's step for two students, one of each view, which also teach each other, on displaced images too."""

    stage = "self-training"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.student_1 = nets.build(**settings.network)
        self.student_2, self.teacher = (copy.deepcopy(self.student_1) for _ in range(2))
        self.teacher.requires_grad_(False)

    def take_over(self, selected: dict[str, Selected], updates: list[Update]) -> None:
        """Begin all three networks as the pretrained one, with its momentum for both students."""
        weights, momentum = selected["student"]
        for network in (self.student_1, self.student_2, self.teacher):
            network.load_state_dict(weights)
        for student in (self.student_1, self.student_2):
            give_momentum(updates, student, momentum)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = (B₁ + S₁ + S₃) + (B₂ + S₂ + S₄), all of weight 1 from the first iteration on.

        B is BCP's loss: student 1 learns from the weak view, student 2 from the strong one with labels and
        pseudo-labels of its own. One box serves both.
        """
        mask, students = self.draw_mask(batch), (self.student_1, self.student_2)
        weak, strong = (
            self.paste(student, view, mask)
            for student, view in zip(students, (batch, strong_view(batch)), strict=True)
        )
        logits = tuple(torch.cat([single(out.logits) for out in pasted.student]) for pasted in (weak, strong))
        images = tuple(torch.cat(pasted.mixed_images) for pasted in (weak, strong))
        moved = displaced(images, logits, self.draw_coins(batch), self.options.most_confident)
        # The displaced weak images, then the strong ones, in one pass of each student.
        again = [single(student(torch.cat(moved)).logits) for student in students]
        parts = {
            "mix_1": torch.stack(self.mix_losses(weak)).sum(),
            "mix_2": torch.stack(self.mix_losses(strong)).sum(),
            "cross_1": cross_loss(logits[0], logits[1]),
            "cross_2": cross_loss(logits[1], logits[0]),
            "cross_3": cross_loss(again[0], again[1]),
            "cross_4": cross_loss(again[1], again[0]),
        }
        return {"loss": torch.stack(list(parts.values())).sum()} | parts

    def draw_coins(self, batch: Batch) -> Tensor:
        """Return for each mixed image whether the cells that replace others are chosen by similarity."""
        generator = batch.generator()
        coins = torch.rand(self.labeled_batch, generator=generator, device=generator.device)
        return coins < self.options.similarity_share

    def trained(self) -> Iterable[nn.Module]:
        """Return both students: one optimiser over both is one over each, as nothing in it mixes parameters."""
        return [self.student_1, self.student_2]

    def after_step(self, _: Batch) -> None:
        """Let the teacher follow student 1."""
        update_teacher(self.teacher, self.student_1, self.options.ema_decay, buffers=self.options.ema_buffers)

    def results(self) -> dict[str, nn.Module]:
        """Return both students, each selected by its own validation; the first is reported."""
        return {"student_1": self.student_1, "student_2": self.student_2}

    def networks(self) -> dict[str, nn.Module]:
        """Return the students and the teacher."""
        return self.results() | {"teacher": self.teacher}


def cross_loss(logits: Tensor, others: Tensor) -> Tensor:
    """Return S = 1 − Dice of the softmax of logits (B, C, *) and the arg max of another network's.

    Over all voxels of the batch, squares in the denominator; no threshold, no cleaning, the background counts.
    """
    target = others.argmax(1)
    everywhere = torch.ones_like(target, dtype=logits.dtype)
    return dice_loss(logits.softmax(1), target, everywhere, "squared", epsilon=EPSILON)


STAGES = (bcp.Pretraining, Method)
