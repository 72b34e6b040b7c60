"""Knobs of SASSNet: `released` is the authors' code on volumes; on slices nothing was released, so it is ours."""

from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat

from m3hl.config.methods import two_heads

TITLE = "SASSNet"
PUBLICATION, CODE_LICENSE = "Li et al., MICCAI 2020", "none; slices are our port"
COST = 4 / 3
PRESETS = ("released",)
DIAGNOSTICS = two_heads.DIAGNOSTICS | {"discriminator": "loss of the discriminator"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(two_heads.TwoHeadOptions):
    """One network with two heads, and a discriminator on the distances."""

    adversarial_weight: NonNegativeFloat = 0.015
    """Weight of the discriminator's judgement of unlabeled images, at the end of its ramp (the authors': this for
    8 scans, 0.01 for 16)."""
    discriminator_learning_rate: PositiveFloat = 1e-4
    """Step size of Adam, with which the discriminator is trained; constant."""


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    return two_heads.PRESET[dimensions]


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are taken."""
    return two_heads.TRAINING[dimensions]
