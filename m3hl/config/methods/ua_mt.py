"""Knobs of UA-MT: `released` is the authors' code on volumes, and SSL4MIS's port of it on slices."""

from typing import Any, Literal

from pydantic import PositiveInt

from m3hl.config.methods import mean_teacher

TITLE = "UA-MT"
PUBLICATION, CODE_LICENSE = "Yu et al., MICCAI 2019", "none; slices: MIT (SSL4MIS)"
COST = 2.5
PRESETS = ("released", "paper")
DIAGNOSTICS = mean_teacher.DIAGNOSTICS | {
    "mask_share": "share of voxels whose teacher is certain",
    "threshold": "threshold of the uncertainty",
    "uncertainty": "mean uncertainty",
}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(mean_teacher.Options):
    """Those of the mean teacher, and where its predictions count as certain."""

    monte_carlo_passes: PositiveInt = 4
    """Passes of the teacher that measure its uncertainty; each predicts two noisy copies of every image."""
    class_count: Literal["two", "all"] = "two"
    """Classes that the threshold and the mean of L_con assume: two, also where there are more (released), or as
    many as there are."""
    normalizer: Literal["voxels_and_classes", "voxels"] = "voxels_and_classes"
    """What the sum of L_con is divided by: certain voxels times classes (released), or certain voxels (paper)."""


SLICES: dict[str, Any] = mean_teacher.POLYNOMIAL | {"dice_background": True, "ramp_length": 200}
VOLUMES: dict[str, Any] = {"learning_rate_decay_every": 2500, "dice_background": False, "ramp_length": 40}
PAPER: dict[str, Any] = {
    "consistency_samples": "all",
    "normalizer": "voxels",
    "ramp_length": None,
    "ramp_step": 1,
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data; where the paper is silent, the code decides."""
    return (SLICES if dimensions == 2 else VOLUMES) | (PAPER if name == "paper" else {})


def training(_: str, dimensions: int) -> dict[str, object]:
    """Return batch sizes and iterations on volumes; on slices the data set's are the method's."""
    return {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 6000} if dimensions == 3 else {}
