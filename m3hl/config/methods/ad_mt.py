"""Knobs of AD-MT; `released` is the authors' code, `paper` what others say of their paper."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions, require_statistics

TITLE = "AD-MT"
PUBLICATION, CODE_LICENSE = "Zhao et al., ECCV 2024", "none"
COST = 11 / 6
PRESETS = ("released", "paper")
DIAGNOSTICS = {
    "weight": "weight of the unlabeled loss",
    "confident": "share of voxels above the threshold",
    "conflicts": "share of voxels in conflict",
    "from_student": "share of voxels that the student decides",
    "active_teacher": "active teacher, 1 or 2",
}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """A student and two teachers, which take turns."""

    ensemble: Literal["entropy", "average"] = "entropy"
    """How the teachers' predictions are joined: each with the more weight the lower its entropy; or their mean, as
    the code did when the published numbers were made."""
    combat: Literal["probability", "entropy"] = "probability"
    """Where the teachers differ, the student's class counts if it has another one and is surer than they are: of a
    class more probable, or by a prediction of lower entropy."""
    confidence_threshold: float = Field(0.95, gt=0, lt=1)
    """The student learns of unlabeled voxels whose class is at least so probable."""
    unlabeled_loss: Literal["dice", "ce", "ce_and_dice"] = "dice"
    """Loss of these voxels: Dice, cross entropy, or (CE + Dice) / 2."""
    unlabeled_weight: NonNegativeFloat = 2.0
    """Weight of that loss, at the end of its ramp."""
    ramp_length: NonNegativeInt = 50
    """R. The weight rises from e⁻⁵ of itself to all of it over R times `ramp_step` iterations, however long the
    run is; and teachers copy the student to iteration 2 R + 1 before they follow it slowly."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on; less for a short run."""
    longest_turn: PositiveInt = 50
    """A teacher's turn has from 1 to so many iterations, by chance."""
    ema_decay: float = Field(0.99, ge=0, le=1)
    """Active teacher ← decay · teacher + (1 − decay) · student, once it is no copy any more; running statistics
    too."""
    result: Literal["student", "teachers"] = "student"
    """What is selected and evaluated: the student, or the mean of both teachers' logits."""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` where the active teacher would see too few values for batch norm."""
        super().check(crop, labeled, unlabeled)
        require_statistics(crop, unlabeled)


VOLUMES: dict[str, Any] = {
    "confidence_threshold": 0.8,
    "unlabeled_loss": "ce",
    "ramp_length": 40,
    "longest_turn": 19,
}
PAPER: dict[str, Any] = {"combat": "entropy", "unlabeled_loss": "ce_and_dice"}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    keys = {"learning_rate_power": 0.9, "learning_rate_lag": True} | (VOLUMES if dimensions == 3 else {})
    if name == "paper":
        keys |= PAPER | {"confidence_threshold": {2: 0.95, 3: 0.75}[dimensions]}
    return keys


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are the method's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 15_000} if dimensions == 3 else {}
