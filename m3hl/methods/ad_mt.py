"""AD-MT: two teachers who follow the student by turns, and see different views (Zhao et al., ECCV 2024)."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.cut_mix import CutMix
from m3hl.methods.parts.losses import cross_entropy, dice_loss, single, supervised_loss
from m3hl.methods.parts.schedules import gaussian_ramp, late_warm_up_decay
from m3hl.methods.parts.strong import strong
from m3hl.methods.parts.teacher import update_teacher
from m3hl.methods.parts.turns import RandomTurns

BLURRED = 0.2
"""Probability that a slice's strong view is blurred."""


class Target(NamedTuple):
    """What the student learns from unlabeled images, each (B_u, *).

    Attributes:
        labels: ŷ, classes.
        confidence: m, their probability.
        entropy: of the prediction that they are of, in bits.
        conflict: c, whether the teachers' classes differ.
    """

    labels: Tensor
    confidence: Tensor
    entropy: Tensor
    conflict: Tensor


class Method(method.Method):
    """A student that learns from two teachers, of which one at a time follows it: L = L_l + λ(i) · L_u."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        # Teachers begin with weights of their own; the second is untrained until its first turn.
        self.student, self.teacher_1, self.teacher_2 = (self.new_network() for _ in range(3))
        for teacher in self.teachers:
            teacher.requires_grad_(False)
        self.turn = RandomTurns(settings.seed, self.options.longest_turn)

    @property
    def teachers(self) -> tuple[nn.Module, nn.Module]:
        """Return both teachers."""
        return self.teacher_1, self.teacher_2

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of one step; the student sees labeled images and both views in one pass."""
        o, weak = self.options, batch.unlabeled_images
        turn = self.turn(batch.iteration)
        target = self.taught(weak, turn)
        if turn == 0:
            second = strong(weak, batch.generator(), blurred=BLURRED)
        else:
            mixed = CutMix.draw(batch.rng, len(weak), self.settings.crop, weak.device)
            second, target = mixed(weak), Target(*map(mixed, target))
        images = torch.cat([batch.labeled_images, weak, second])
        logits = single(self.student(images).logits)
        on_labeled, on_weak, on_second = logits.split([len(batch.labels), len(weak), len(weak)])
        # As released: at the second teacher's turn, what the student says of the weak views is not mixed.
        settled = combat(target, on_weak, o.combat)
        sure = (settled.confidence >= o.confidence_threshold).to(logits.dtype)
        supervised = supervised_loss(on_labeled, batch.labels)
        unlabeled = self.unlabeled_loss(on_second, settled.labels, sure)
        weight = o.unlabeled_weight * gaussian_ramp(batch.iteration, o.ramp_length, every=o.ramp_step)
        loss = supervised + weight * unlabeled
        return {
            "loss": loss,
            "supervised": supervised,
            "unlabeled": unlabeled,
            "weight": torch.full_like(loss, weight),
            "confident": sure.mean(),
            "conflicts": target.conflict.to(logits.dtype).mean(),
            "from_student": (settled.labels != target.labels).to(logits.dtype).mean(),
            "active_teacher": torch.full_like(loss, 1 + turn),
        }

    @torch.no_grad()
    def taught(self, images: Tensor, turn: int) -> Target:
        """Return what the teachers make of images: the active one in training mode, the other in evaluation mode.

        So the active one has statistics of this batch and dropout, and its running statistics move.
        """
        self.teachers[1 - turn].eval()
        p_1, p_2 = (single(teacher(images).logits).softmax(1) for teacher in self.teachers)
        q = ensemble(p_1, p_2, self.options.ensemble)
        confidence, labels = q.max(1)
        return Target(labels, confidence, entropy(q), p_1.argmax(1) != p_2.argmax(1))

    def unlabeled_loss(self, logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Return L_u, cross entropy or Dice or their mean, where the mask (B_u, *) is 1; 0 where it is empty."""
        kind = self.options.unlabeled_loss
        terms = []
        if kind != "ce":
            terms.append(dice_loss(logits.softmax(1), labels, mask, "squared", epsilon=1e-5))
        if kind != "dice":
            terms.append(cross_entropy(logits, labels, mask))
        return torch.stack(terms).mean()

    def after_step(self, batch: Batch) -> None:
        """Let the active teacher follow the student, running statistics included; the other one waits."""
        o = self.options
        decay = late_warm_up_decay(batch.iteration // 2, o.ramp_length, o.ema_decay)
        update_teacher(self.teachers[self.turn(batch.iteration)], self.student, decay, buffers=True)

    def results(self) -> dict[str, nn.Module]:
        """Return what is evaluated: the student, or the mean of the teachers' logits."""
        if self.options.result == "student":
            return {"student": self.student}
        return {"teachers": nets.Ensemble(self.teachers)}

    def networks(self) -> dict[str, nn.Module]:
        """Return the result, student and teachers, and the ensemble of what the teachers say."""
        return self.results() | {
            "student": self.student,
            "teacher_1": self.teacher_1,
            "teacher_2": self.teacher_2,
            "ensemble": Teaching(self.teachers, self.options.ensemble),
        }


class Teaching(nets.Ensemble):
    """The ensemble, of teachers that are both in the mode that it is in; its logits are ln q."""

    def __init__(self, members: Iterable[nn.Module], kind: str) -> None:
        super().__init__(members)
        self.kind = kind

    def combine(self, logits: list[Tensor]) -> Tensor:
        """Return ln q."""
        return ensemble(*(single(each).softmax(1) for each in logits), self.kind).log()


def ensemble(p_1: Tensor, p_2: Tensor, kind: str) -> Tensor:
    """Return q = w p₁ + (1 − w) p₂ (B, C, *), with w = e^−H₁ / (e^−H₁ + e^−H₂) and H in bits; or their mean.

    Args:
        p_1, p_2: (B, C, *), the teachers' probabilities.
        kind: "entropy", or "average" for w = ½.
    """
    if kind == "average":
        return (p_1 + p_2) / 2
    w = (entropy(p_2) - entropy(p_1)).sigmoid().unsqueeze(1)
    q = w * p_1 + (1 - w) * p_2
    return q / q.sum(1, keepdim=True)


def entropy(p: Tensor) -> Tensor:
    """Return H = −Σ_c p_c log₂(p_c + 1e-10) of each voxel, (B, *)."""
    return -(p * (p + 1e-10).log2()).sum(1)


def combat(target: Target, logits: Tensor, kind: str) -> Target:
    """Return the target with the student's class where teachers are in conflict, it has another, and is surer.

    Args:
        target: the ensemble's.
        logits: (B_u, C, *), the student's of the weak views; no gradient passes through them.
        kind: what makes it surer, its class's greater "probability" or its prediction's lower "entropy".
    """
    p = logits.detach().softmax(1)
    confidence, labels = p.max(1)
    h = entropy(p)
    surer = confidence > target.confidence if kind == "probability" else h < target.entropy
    wins = target.conflict & (labels != target.labels) & surer
    found = Target(labels, confidence, h, target.conflict)
    return Target(*(torch.where(wins, own, other) for own, other in zip(found, target, strict=True)))
