"""Knobs of DTC: `released` is the authors' code on volumes; on slices nothing was released, so that is ours."""

from typing import Any

from pydantic import NonNegativeFloat

from m3hl.config.methods import two_heads

TITLE = "DTC"
PUBLICATION, CODE_LICENSE = "Luo et al., AAAI 2021", "MIT; slices are our port"
COST = 1.0
PRESETS = ("released", "paper")
DIAGNOSTICS = two_heads.DIAGNOSTICS


class Options(two_heads.TwoHeadOptions):
    """One network with two heads, whose answers must agree."""

    consistency_weight: NonNegativeFloat = 1.0
    """Weight of the consistency of both heads, at the end of its ramp."""


PAPER: dict[str, Any] = {"distance_weight": 1.0, "dice": "plain", "ramp_length": None, "ramp_step": 1}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data; where the paper is silent, the code decides."""
    return two_heads.PRESET[dimensions] | (PAPER if name == "paper" else {})


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are taken."""
    return two_heads.TRAINING[dimensions]
