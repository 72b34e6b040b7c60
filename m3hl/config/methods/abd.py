"""Knobs of ABD, adaptive bidirectional displacement: `released` is the authors' code that builds on BCP."""

from typing import Any

from pydantic import Field

from m3hl.config.methods import bcp

TITLE = "ABD"
PUBLICATION, CODE_LICENSE = "Chi et al., CVPR 2024", "none"
COST = 10 / 3
PRESETS = ("released",)
DIMENSIONS = (2,)
"""Its strong view wants intensities from 0 to 1, and nobody has said how many cells a volume should have."""


class Options(bcp.Options):
    """Those of BCP, whose first stage is its own too, and how cells are displaced."""

    similarity_share: float = Field(0.5, ge=0, le=1)
    """Probability that an image's replacing cell is the most similar of the other view's most confident ones, and
    not simply the most confident one."""
    most_confident: int = Field(4, ge=1, le=16)
    """So many of the other view's 16 cells may replace the least confident one."""


def preset(name: str, _: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets."""
    return {"background_dice": "whole_image"}
