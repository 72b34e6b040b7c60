"""What a data set is: constants that its files do not tell, and the settings that the literature trains with."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Description:
    """A data set's constants and its published training settings.

    Attributes:
        dimensions: 2 (a U-Net on slices) or 3 (a V-Net on crops).
        classes: names of labels 1, 2, …; label 0 is the background.
        normalization: "minmax" (volume to [0, 1]) or "zscore" (volume to mean 0, variance 1).
        crop: voxels that the network sees, (H, W) or (X, Y, Z).
        labeled_batch, unlabeled_batch: samples per batch and kind.
        iterations: optimiser steps.
        validate_every: iterations between validations.
        selection: which weights are evaluated, "val" or "last".
        stride: voxels between sliding windows in 3D, None in 2D.
        largest_component: whether only the largest component of a predicted label map is kept.
        group: what one labeled count counts: "patient" or "scan".
        citation: what to cite when using the data.
        license: under which terms the data may be used.
        cautions: what a reader of the numbers must know, one sentence each.
        raw_labels: the raw label maps' values of labels 0, 1, 2, … where they are others.
        mapped: the raw label maps' values of labels 1, 2, … where they are the user's; others are background.
        orientation: to where axes are turned: letters such as "LPS", "common" or "none".
        spacing: mm that volumes are resampled to, "median" or "none".
        empty_labels: whether a case may have none of the structures.
        roi: how raw scans are cropped; None: not at all.
    """

    dimensions: Literal[2, 3]
    classes: tuple[str, ...]
    normalization: Literal["minmax", "zscore"]
    crop: tuple[int, ...]
    labeled_batch: int
    unlabeled_batch: int
    iterations: int
    validate_every: int
    selection: Literal["val", "last"]
    stride: tuple[int, ...] | None
    group: str
    citation: str
    license: str
    largest_component: bool = False
    cautions: tuple[str, ...] = ()
    raw_labels: tuple[int, ...] | None = None
    orientation: str = "none"
    spacing: Literal["none", "median"] | tuple[float, ...] = "none"
    empty_labels: bool = False
    mapped: tuple[tuple[int, ...], ...] = ()
    roi: "Roi | None" = None


@dataclass(frozen=True)
class Roi:
    """How raw scans are cropped in the array's first two axes; the third is kept whole.

    Attributes:
        margin: least and largest random margin around the label's bounding box, voxels, both included.
        least: voxels that the crop has at least, where the scan is that large.
        center: voxels of a crop from the middle of the scan, for `crop_around: center`.
    """

    margin: tuple[int, int]
    least: tuple[int, int]
    center: tuple[int, int]


def synthetic(description: Description) -> Description:
    """Return the description of phantoms that take the place of a data set's images."""
    return replace(
        description,
        citation="synthetic images, made by the package m3hl",
        license="MIT",
        cautions=(
            "The images are synthetic: the numbers say that the code works, not how well it does on patients.",
        ),
    )
