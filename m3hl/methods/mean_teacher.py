"""The plain mean teacher (Tarvainen and Valpola, NeurIPS 2017), for segmentation as in SSL4MIS."""

import torch
from torch import Tensor, nn

from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.losses import segmentation_loss, single
from m3hl.methods.parts.noise import noisy
from m3hl.methods.parts.schedules import ramp_of_run, warm_up_decay
from m3hl.methods.parts.teacher import update_teacher

EPSILON = 1e-5
"""Of the Dice loss."""


class Method(method.Method):
    """Student and teacher, trained by L = L_sup + w(t) · L_con."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        # The teacher's own random weights matter in the first iteration, whose update makes it the student.
        self.student, self.teacher = (self.new_network() for _ in range(2))
        self.teacher.requires_grad_(False)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of one step: L_sup = ½ (CE + Dice) on labeled samples, and what `consistency` says.

        The student sees all images in one pass, without noise: batch statistics are of labeled and unlabeled ones.
        """
        options, labeled = self.options, len(batch.labeled_images)
        images = torch.cat([batch.labeled_images, batch.unlabeled_images])
        compared = slice(labeled, None) if options.consistency_samples == "unlabeled" else slice(None)
        logits = single(self.student(images).logits)
        supervised = segmentation_loss(
            *(logits[:labeled], batch.labels, None, "squared", "mean"),
            epsilon=EPSILON,
            background=options.dice_background,
        )
        logged = self.consistency(logits[compared], images[compared], batch)
        if batch.iteration < options.consistency_start:
            # After the teacher's pass, which moves its running statistics.
            logged["consistency"] = torch.zeros_like(supervised)
        weight = self.weight(batch)
        return {
            "loss": supervised + weight * logged["consistency"],
            "supervised": supervised,
            **logged,
            "weight": torch.full_like(supervised, weight),
        }

    def consistency(self, logits: Tensor, images: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return L_con = mean (softmax(ℓ_student) − softmax(ℓ_teacher))² over samples, classes and voxels.

        Args:
            logits: (B, C, *), the student's ℓ.
            images: (B, C, *) of the same samples; the teacher sees them with noise.
            batch: source of the noise.
        """
        target = self.taught(images, batch.generator())
        return {"consistency": (logits.softmax(1) - target).square().mean()}

    @torch.no_grad()
    def taught(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the teacher's probabilities (B, C, *) of images with noise.

        It is in training mode as the student is: statistics of this batch, dropout.
        """
        seen = noisy(images, generator, self.options.noise, self.options.noise_limit)
        # Not its logits: CUDA graphs write a next pass's over them.
        return single(self.teacher(seen).logits).softmax(1)

    def weight(self, batch: Batch) -> float:
        """Return w(t) = w_max · exp(−5 (1 − min(⌊t / step⌋, L) / L)²), which does not begin at 0."""
        o = self.options
        return o.consistency_weight * ramp_of_run(batch, o.ramp_length, o.ramp_step)

    def after_step(self, batch: Batch) -> None:
        """Let the teacher's parameters follow the student's; running statistics are those of its own passes."""
        decay = warm_up_decay(batch.iteration, self.options.ema_decay)
        update_teacher(self.teacher, self.student, decay, buffers=False)

    def results(self) -> dict[str, nn.Module]:
        """Return the network that is selected and evaluated."""
        return {self.options.result: getattr(self, self.options.result)}

    def networks(self) -> dict[str, nn.Module]:
        """Return student and teacher, the result first."""
        return self.results() | {"student": self.student, "teacher": self.teacher}
