"""Knobs of CutMix, a mean teacher with rectangles, and its presets.

`benchmark` is the mechanism of French et al. (BMVC 2020) with the supervised loss, the optimiser and the evaluated
network of the methods that it stands beside; `french` has their supervised loss and evaluates the teacher;
`mean-teacher` is a plain mean teacher's loss and schedule on mixed images. None of them has been published on ACDC
or LA: batch sizes and iterations are the data set's.
"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions, require_statistics

TITLE = "CutMix"
PUBLICATION, CODE_LICENSE = "French et al., BMVC 2020", "MIT (photographs)"
COST = 11 / 12
PRESETS = ("benchmark", "french", "mean-teacher")
DIAGNOSTICS = {"confident": "κ, share of confident voxels", "weight": "weight of the consistency"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """A student that must predict of two mixed images what its teacher, mixed in the same way, predicts."""

    box_share: float = Field(0.5, gt=0, lt=1)
    """Share of the image (area or volume) that the box takes from the other image."""
    supervised: Literal["ce_and_dice", "ce"] = "ce_and_dice"
    """Loss of the labeled images: (CE + Dice) / 2, or cross entropy alone."""
    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample and class."""
    dice_epsilon: NonNegativeFloat | None = None
    """Added to both sides of the Dice loss's fraction; left out, 1e-10 (squared) or 1e-5 (plain)."""
    consistency_classes: Literal["sum", "mean"] = "sum"
    """Whether the squared differences of a voxel's probabilities are summed or averaged over the classes."""
    confidence_threshold: float | None = Field(0.97, gt=0, lt=1)
    """The consistency is multiplied by κ, the share of voxels whose teacher is so sure of a class: one number for
    all voxels of a batch. Empty: κ is 1."""
    consistency_weight: NonNegativeFloat = 1.0
    """Weight of the consistency."""
    ramp_length: NonNegativeInt | None = 0
    """The weight rises from e⁻⁵ of itself to all of it over so many times `ramp_step` iterations; 0: constant;
    null: over the whole run."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on."""
    ema_decay: float = Field(0.99, ge=0, le=1)
    """Teacher ← decay · teacher + (1 − decay) · student."""
    ema_warm_up: bool = False
    """Whether the decay of iteration t is 1 − 1 / (t + 1) where that is less; so the first update copies the
    student."""
    ema_buffers: bool = True
    """Whether the batch-norm running statistics follow the student too."""
    teacher_starts_as: Literal["student", "random"] = "student"
    """A copy of the student, or a network with random weights of its own."""
    result: Literal["student", "teacher"] = "student"
    """Which network is selected and evaluated."""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` where the unlabeled batch has no halves, or a pass has no batch statistics."""
        super().check(crop, labeled, unlabeled)
        if unlabeled % 2:
            raise ValueError(
                f"unlabeled_batch {unlabeled} must be even: the images of its halves are mixed in pairs; make it "
                f"{unlabeled + 1}"
            )
        require_statistics(crop, min(labeled, unlabeled // 2))


BASELINE: dict[int, dict[str, Any]] = {
    2: {"dice": "squared"},
    3: {"dice": "plain", "learning_rate_decay_every": 2500},
}
"""As the supervised baseline, by dimension."""
FRENCH: dict[str, Any] = {"supervised": "ce", "result": "teacher"}
MEAN_TEACHER: dict[str, Any] = {
    "learning_rate_power": 0.9,
    "learning_rate_lag": True,
    "dice": "squared",
    "dice_epsilon": 1e-5,
    "consistency_classes": "mean",
    "confidence_threshold": None,
    "consistency_weight": 0.1,
    "ema_warm_up": True,
    "ema_buffers": False,
    "teacher_starts_as": "random",
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    if name == "mean-teacher":
        return MEAN_TEACHER | {"ramp_length": {2: 200, 3: 40}[dimensions]}
    return BASELINE[dimensions] | (FRENCH if name == "french" else {})
