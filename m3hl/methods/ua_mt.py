"""UA-MT: a mean teacher that is followed where it is certain (Yu et al., MICCAI 2019)."""

from math import log

import torch
from torch import Tensor

from m3hl.data.batches import Batch
from m3hl.methods import mean_teacher
from m3hl.methods.parts.schedules import gaussian_ramp


class Method(mean_teacher.Method):
    """The mean teacher's step with another L_con: of the voxels of which the teacher is certain."""

    def consistency(self, logits: Tensor, images: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return L_con = Σ_v m_v Σ_c (softmax(ℓ_student) − softmax(ℓ_teacher))² / (2 Σ_v m_v), and who counts.

        m is 1 where the uncertainty u is below H(t), else 0; an empty mask gives 0. The target ℓ_teacher is a
        first pass of its own, neither one of the Monte Carlo predictions nor their mean.

        Args:
            logits: (B, C, *), the student's ℓ.
            images: (B, C, *) of the same samples.
            batch: t, T, and source of the noise.
        """
        generator, threshold = batch.generator(), self.threshold(batch)
        target = self.taught(images, generator)
        uncertainty = entropy(self.mean_prediction(images, generator))
        mask = (uncertainty < threshold).to(uncertainty.dtype)
        classes = self.counted_classes if self.options.normalizer == "voxels_and_classes" else 1
        total = ((logits.softmax(1) - target).square() * mask).sum()
        return {
            "consistency": total / (classes * mask.sum() + 1e-16),
            "mask_share": mask.mean(),
            "threshold": torch.full_like(total, threshold),
            "uncertainty": uncertainty.mean(),
        }

    def mean_prediction(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return μ (B, C, *), the mean of the probabilities of all Monte Carlo predictions.

        Each pass takes two copies of the images, so that batch statistics are of both; every copy has noise and
        dropout of its own.
        """
        passes, total = self.options.monte_carlo_passes, 0.0
        copies = torch.cat([images, images])
        for _ in range(passes):
            first, second = self.taught(copies, generator).chunk(2)
            total = total + first + second
        return total / (2 * passes)

    def threshold(self, batch: Batch) -> float:
        """Return H(t) = (3/4 + 1/4 · exp(−5 (1 − t / T)²)) · ln 2; it moves in every iteration, unlike w(t)."""
        return (0.75 + 0.25 * gaussian_ramp(batch.iteration, batch.iterations)) * log(self.counted_classes)

    @property
    def counted_classes(self) -> int:
        """Return the classes that threshold and L_con assume: 2, unless all shall count."""
        return 2 if self.options.class_count == "two" else len(self.settings.classes) + 1


def entropy(probability: Tensor) -> Tensor:
    """Return u = −Σ_c μ_c ln(μ_c + 1e-6) of each voxel, (B, 1, *)."""
    return -(probability * (probability + 1e-6).log()).sum(1, keepdim=True)
