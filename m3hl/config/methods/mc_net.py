"""Knobs of MC-Net and MC-Net+: `released` is MC-Net+, as the authors' scripts run it on slices and on volumes."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions

TITLE = "MC-Net+"
PUBLICATION, CODE_LICENSE = "Wu et al., Medical Image Analysis 2022", "MIT"
COST = 1.0
PRESETS = ("released", "mc-net")
DIAGNOSTICS = {"weight": "weight of the decoders' agreement"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """One encoder, and decoders that differ in how they up-sample."""

    decoders: Literal[2, 3] = 3
    """MC-Net has two, MC-Net+ three."""
    temperature: float = Field(0.1, ge=0.01, le=1)
    """T of the sharpening: the smaller, the nearer to 0 or 1."""
    dice: Literal["halved", "plain"] = "halved"
    """Dice loss of a decoder: all classes and Σp²+Σy², without the factor 2 (released for slices); or the
    foreground and Σp+Σy."""
    supervised_weight: NonNegativeFloat = 1.0
    """Weight of the sum of the decoders' Dice losses."""
    weight: NonNegativeFloat = 0.1
    """Weight of the decoders' agreement, at the end of its ramp."""
    ramp_length: NonNegativeInt | None = 200
    """The weight rises from e⁻⁵ of itself to all of it over so many times `ramp_step` iterations, however long the
    run is; 0: constant; null: over the whole run."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on."""
    ramp_start: NonNegativeInt = 1
    """Number of the first iteration, as the ramp counts."""

    def beyond_logits(self) -> str:
        """Return the encoder that further decoders share."""
        return "its encoder, for further decoders"


BY_DIMENSION: dict[int, dict[str, Any]] = {
    2: {"dice": "halved", "supervised_weight": 1.0, "weight": 0.1, "ramp_length": 200},
    3: {"dice": "plain", "supervised_weight": 0.5, "weight": 1.0, "ramp_length": 40},
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    return BY_DIMENSION[dimensions] | ({"decoders": 2} if name == "mc-net" else {})


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are the method's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 15_000} if dimensions == 3 else {}
