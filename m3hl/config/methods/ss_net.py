"""Knobs of SS-Net: `released` is the authors' code, which is there for slices and for volumes."""

from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions

TITLE = "SS-Net"
PUBLICATION, CODE_LICENSE = "Wu et al., MICCAI 2022", "MIT"
COST = 10 / 3
PRESETS = ("released",)
DIAGNOSTICS = {
    "weight": "weight of what is no supervised loss",
    "prototypes": "prototypes in memory, mean over foreground classes",
}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """One network, adversarial noise in its images, and prototypes of its features."""

    dice: Literal["squared", "plain"] = "squared"
    """Both Dice losses: Σp²+Σy² and each class on its own; or Σp+Σy, where the supervised one is of the foreground
    and the adversarial one of all classes in one ratio."""
    weight: NonNegativeFloat = 0.1
    """Weight of all that is no supervised loss, at the end of its ramp."""
    ramp_length: NonNegativeInt | None = 200
    """The weight rises from e⁻⁵ of itself to all of it over so many times `ramp_step` iterations, however long the
    run is; 0: constant; null: over the whole run."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on."""
    ramp_start: NonNegativeInt = 0
    """Number of the first iteration, as the ramp counts: released code begins with 0 or with 1."""
    pull_weight: NonNegativeFloat = 0.1
    """Weight of the pull towards prototypes beside the adversarial loss."""
    probe: PositiveFloat = 10.0
    """Length ξ of the noise at which the worst direction is looked for: the norm over all voxels of a sample."""
    radius: NonNegativeFloat = 6.0
    """Length ε of the adversarial noise, the same norm. The published 6 are for 256×256 pixels, 10 for 112×112×80
    voxels; for another crop multiply this and `probe` by √(its voxels / those)."""

    def beyond_logits(self) -> str:
        """Return the features that prototypes are of."""
        return "the features of its last layer, for prototypes"


BY_DIMENSION: dict[int, dict[str, Any]] = {
    2: {"dice": "squared", "weight": 0.1, "ramp_length": 200, "ramp_start": 0, "radius": 6.0},
    3: {
        "dice": "plain",
        "weight": 1.0,
        "ramp_length": 40,
        "ramp_start": 1,
        "radius": 10.0,
        "learning_rate_decay_every": 2500,
    },
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    return BY_DIMENSION[dimensions]


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are the method's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 15_000} if dimensions == 3 else {}
