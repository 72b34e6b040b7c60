"""Knobs of cross pseudo supervision (CPS), as the SSL4MIS benchmark ported it to medical images.

On LA nobody has published it: batches and the ramp are those of the field's other methods there.
"""

from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions

TITLE = "CPS"
PUBLICATION, CODE_LICENSE = "Chen et al., CVPR 2021", "MIT (SSL4MIS)"
COST = 2.0
PRESETS = ("released",)
DIAGNOSTICS = {"weight": "weight of the cross terms"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """Two networks, each of which learns from the labels and from what the other makes of unlabeled images."""

    weight: NonNegativeFloat = 0.1
    """Weight of the cross terms, after the ramp (CVPR 2021, on photographs: 1.5 without a ramp)."""
    ramp_length: NonNegativeInt | None = 200
    """The weight rises from e⁻⁵ of itself to all of it over so many times `ramp_step` iterations, however long the
    run is; 0: constant; null: over the whole run."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on."""
    cross_on: Literal["unlabeled", "all"] = "unlabeled"
    """Whether the networks teach each other on the unlabeled images, or on all (CVPR 2021)."""
    initialization: Literal["default", "normal"] = "default"
    """Both networks by torch's default; or the convolutions of the first normal with variance 2 / fan_in, those of
    the second with 2 / (fan_in + fan_out)."""


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    by_dimension = {2: {}, 3: {"ramp_length": 40, "initialization": "normal"}}
    return {"learning_rate_power": 0.9} | by_dimension[dimensions]


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return the batch that the field's methods take on LA; on ACDC it is the data set's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2} if dimensions == 3 else {}
