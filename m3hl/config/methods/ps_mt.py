"""Knobs of PS-MT: our port, as its authors released it for photographs alone.

`released` leaves out the perturbation of features (T-VAT), which does nothing as released; `paper` has it.
"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from m3hl.config.methods.optimizer import OptimizerOptions, require_statistics

TITLE = "PS-MT"
PUBLICATION, CODE_LICENSE = "Liu et al., CVPR 2022", "MIT (photographs); ours is a port"
COST = 4 / 3
PRESETS = ("released", "paper")
DIAGNOSTICS = {
    "weight": "weight of the unlabeled loss",
    "confident": "share of voxels above the threshold",
    "conflicts": "share of voxels at which the teachers differ",
    "active_teacher": "active teacher, 1 or 2",
}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """A student and two teachers, of which one at a time follows it."""

    probe: PositiveFloat | None = None
    """T-VAT perturbs the student's features where teachers are most sensitive. This is ξ, the distance at which it
    looks for that; null: no T-VAT. The released ξ of 1e-6 finds rounding noise."""
    perturbation: NonNegativeFloat = 2.0
    """Length of T-VAT's perturbation, over all features of a sample; only with `probe`."""
    supervised: Literal["ce_and_dice", "ce"] = "ce_and_dice"
    """Loss of the labeled images: (CE + Dice) / 2, or cross entropy alone, as released for photographs."""
    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample and class."""
    confidence_threshold: float = Field(0.6, ge=0, lt=1)
    """The student learns of unlabeled voxels whose class is at least so probable, and of each in proportion."""
    unlabeled_weight: NonNegativeFloat = 1.5
    """Weight of that loss, at the end of its ramp."""
    ramp_share: float = Field(0.15, ge=0, le=1)
    """Share of the run in which the weight rises from 0, as half a cosine."""
    warm_up_share: float = Field(0.01, gt=0, le=1)
    """Iterations in which each network first learns alone from labeled images, as a share of the run's, to which
    they are added."""
    ema_decay: float = Field(0.996, ge=0, le=1)
    """Active teacher ← decay · teacher + (1 − decay) · student, running statistics too."""
    result: Literal["teachers", "student"] = "teachers"
    """What is evaluated: the mean of both teachers' logits, or the student. Both are selected."""

    def beyond_logits(self) -> str:
        """Return the two halves of a network between which T-VAT perturbs, where it is on."""
        return "encoder and decoder (probe)" if self.probe is not None else ""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` where a pass has too few values for batch norm."""
        super().check(crop, labeled, unlabeled)
        require_statistics(crop, min(labeled, unlabeled))


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    perturbed = {"probe": 10.0} if name == "paper" else {}
    return {"learning_rate_power": 0.9, "dice": {2: "squared", 3: "plain"}[dimensions]} | perturbed


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are the method's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 15_000} if dimensions == 3 else {}
