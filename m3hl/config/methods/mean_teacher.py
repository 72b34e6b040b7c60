"""Knobs of the plain mean teacher; `released` is the SSL4MIS benchmark's on slices, and ours on volumes."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions, require_statistics

TITLE = "Mean teacher"
PUBLICATION, CODE_LICENSE = "Tarvainen and Valpola, NeurIPS 2017", "MIT (SSL4MIS)"
COST = 7 / 6
PRESETS = ("released",)
DIAGNOSTICS = {"weight": "weight of the consistency"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """Student, teacher, noise, and when the two shall agree."""

    dice_background: bool = True
    """Whether the Dice loss (squared denominator, over the batch) counts the background as a class."""
    consistency_weight: NonNegativeFloat = 0.1
    """Largest weight w of the consistency L_con, at the end of its ramp."""
    ramp_length: NonNegativeInt | None = 200
    """Length of that ramp, in units of `ramp_step`; 0: no ramp; null: the whole run. A run that ends before the
    ramp hardly learns from unlabeled images."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on."""
    consistency_start: NonNegativeInt = 0
    """Iterations at the beginning for which L_con is 0."""
    consistency_samples: Literal["unlabeled", "all"] = "unlabeled"
    """On which samples student and teacher shall agree."""
    noise: NonNegativeFloat = 0.1
    """Standard deviation of the noise in the teacher's images, after normalisation."""
    noise_limit: NonNegativeFloat = 0.2
    """The noise is clipped to ± this."""
    ema_decay: float = Field(0.99, ge=0, le=1)
    """Teacher ← decay · teacher + (1 − decay) · student; less at first, 1 − 1 / (t + 1) at iteration t."""
    result: Literal["student", "teacher"] = "student"
    """Which network is selected and evaluated."""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` where student or teacher would see too few values for batch norm."""
        super().check(crop, labeled, unlabeled)
        require_statistics(crop, unlabeled if self.consistency_samples == "unlabeled" else labeled + unlabeled)


POLYNOMIAL: dict[str, Any] = {"learning_rate_power": 0.9, "learning_rate_lag": True}
SLICES: dict[str, Any] = POLYNOMIAL | {"consistency_start": 1000, "ramp_length": 200}
VOLUMES: dict[str, Any] = POLYNOMIAL | {"consistency_start": 0, "ramp_length": 40}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    return dict(SLICES if dimensions == 2 else VOLUMES)


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are the method's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 15_000} if dimensions == 3 else {}
