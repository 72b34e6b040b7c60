"""PS-MT: two mean teachers by turns, perturbed and strict (Liu et al., CVPR 2022); our port from photographs."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.method import Selected
from m3hl.methods.parts.cut_mix import CutMix
from m3hl.methods.parts.losses import single, supervised_loss
from m3hl.methods.parts.optimization import give_momentum, sgd_update
from m3hl.methods.parts.schedules import cosine_ramp
from m3hl.methods.parts.strong import strong
from m3hl.methods.parts.t_vat import worst_perturbation
from m3hl.methods.parts.teacher import update_teacher
from m3hl.methods.update import Update

NETWORKS = "student", "teacher_1", "teacher_2"
strong_view = partial(strong, blurred=0.5)


class Stage(method.Method):
    """Three networks, each with random weights of its own, that learn from labeled images in either stage."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.student, self.teacher_1, self.teacher_2 = (nets.build(**settings.network) for _ in NETWORKS)

    @property
    def teachers(self) -> tuple[nn.Module, nn.Module]:
        """Return both teachers."""
        return self.teacher_1, self.teacher_2

    def supervised(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return L_l."""
        return supervised_loss(logits, labels, self.options.supervised, self.options.dice, epsilon=None)


class WarmUp(Stage):
    """Each network learns alone from labeled images, the student from strong views; the step size is constant."""

    stage, keeps_momentum = "warm-up", True

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.unlabeled_batch = 0

    @classmethod
    def length(cls, settings: RunSettings) -> int:
        """Return the iterations of each network."""
        return max(1, round(settings.options.warm_up_share * settings.iterations))

    def trained(self) -> list[nn.Module]:
        """Return all networks: one optimiser over all is one over each, as nothing in it mixes parameters."""
        return list(self.results().values())

    def updates(self) -> list[Update]:
        """Return one update."""
        constant = self.options.model_copy(update={"learning_rate_power": None, "learning_rate_lag": False})
        return [sgd_update(self.losses, self.trained(), constant)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the sum of the networks' losses of the same labeled images, and each."""
        views = {"student": strong_view(batch.labeled_images, batch.generator())}
        losses = {
            name: self.supervised(network(views.get(name, batch.labeled_images)).logits, batch.labels)
            for name, network in self.results().items()
        }
        return {"loss": torch.stack(list(losses.values())).sum()} | {f"supervised_{n}": losses[n] for n in losses}

    def results(self) -> dict[str, nn.Module]:
        """Return all networks, each selected by its own validation."""
        return {name: getattr(self, name) for name in NETWORKS}


class Method(Stage):
    """A student with perturbed features learns from two teachers, of whom one follows it: L = L_l + λ(i) · L_u."""

    stage = "self-training"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        for teacher in self.teachers:
            teacher.requires_grad_(False)

    def take_over(self, selected: dict[str, Selected], updates: list[Update]) -> None:
        """Begin with the warmed-up networks; the student keeps its momentum."""
        for name in NETWORKS:
            getattr(self, name).load_state_dict(selected[name].weights)
        give_momentum(updates, self.student, selected["student"].momentum)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of one step; the student sees labeled images, then unlabeled ones, in strong views."""
        o, generator, weak = self.options, batch.generator(), batch.unlabeled_images
        with torch.no_grad():
            # Both in training mode: batch statistics, dropout, and running statistics that move.
            z_1, z_2 = (single(teacher(weak).logits) for teacher in self.teachers)
            target, conflicts = (z_1 + z_2) / 2, z_1.argmax(1) != z_2.argmax(1)
        for teacher in self.teachers:
            teacher.eval()
        mixed = CutMix.draw(batch.rng, len(weak), self.settings.crop, weak.device)
        labeled, unlabeled = strong_view(batch.labeled_images, generator), strong_view(weak, generator)
        supervised = self.supervised(self.perturbed(labeled, generator), batch.labels)
        logits = self.perturbed(mixed(unlabeled), generator)
        confidence, labels = mixed(target).softmax(1).max(1)
        sure = (confidence >= o.confidence_threshold).to(logits.dtype)
        strict = confident_cross_entropy(logits, labels, confidence, sure)
        weight = o.unlabeled_weight * cosine_ramp(batch.iteration, round(o.ramp_share * batch.iterations))
        loss = supervised + weight * strict
        return {
            "loss": loss,
            "supervised": supervised,
            "unlabeled": strict,
            "weight": torch.full_like(loss, weight),
            "confident": sure.mean(),
            "conflicts": conflicts.to(logits.dtype).mean(),
            "active_teacher": torch.full_like(loss, 1 + self.turn(batch)),
        }

    def perturbed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the student's logits of images, decoded from f + r with T-VAT's r, which is a constant."""
        if self.options.probe is None:
            return single(self.student(images).logits)
        levels, _ = self.student.encoder(images)
        # In single precision: r is a hundredth of f, and bf16 would round it away.
        with torch.autocast(images.device.type, enabled=False):
            levels = [single(level) for level in levels]
            changes = worst_perturbation(
                self.taught, levels, generator, probe=self.options.probe, size=self.options.perturbation
            )
            return self.student.decoder([f + r for f, r in zip(levels, changes, strict=True)]).logits

    def taught(self, levels: list[Tensor]) -> Tensor:
        """Return the mean of the logits that both teachers decode from features."""
        z_1, z_2 = (teacher.decoder(levels).logits for teacher in self.teachers)
        return (z_1 + z_2) / 2

    def turn(self, batch: Batch) -> int:
        """Return which teacher follows, 0 or 1: another one in each pass over the unlabeled samples."""
        return batch.unlabeled_pass % 2

    def after_step(self, batch: Batch) -> None:
        """Let the active teacher follow the student, running statistics included."""
        update_teacher(self.teachers[self.turn(batch)], self.student, self.options.ema_decay, buffers=True)

    def results(self) -> dict[str, nn.Module]:
        """Return the mean of the teachers' logits and the student, first what is evaluated."""
        both = {"teachers": nets.Ensemble(self.teachers), "student": self.student}
        return {self.options.result: both[self.options.result]} | both

    def networks(self) -> dict[str, nn.Module]:
        """Return these and each teacher."""
        return self.results() | {"teacher_1": self.teacher_1, "teacher_2": self.teacher_2}


def confident_cross_entropy(logits: Tensor, labels: Tensor, confidence: Tensor, mask: Tensor) -> Tensor:
    """Return Conf-CE, the mean of m · CE over the voxels of a mask, 0 where it is empty.

    Args:
        logits: (B, C, *), the student's.
        labels, confidence: ŷ and m, (B, *).
        mask: (B, *), 1 or 0.
    """
    per_voxel = functional.cross_entropy(logits, labels, reduction="none")
    return (per_voxel * confidence * mask).sum() / (mask.sum() + 1e-16)


STAGES = (WarmUp, Method)
