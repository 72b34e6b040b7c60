"""Overlap and surface distances of label maps, defined as in `medpy.metric.binary`.

Everything is computed in the joint bounding box of both masks, and the nearest surface voxels are found with
k-d trees: the numbers are medpy's, in a fraction of its time.
"""

from dataclasses import asdict, dataclass, fields
from math import nan
from typing import Any

import numpy as np
from scipy.spatial import KDTree


@dataclass(frozen=True)
class ClassMetrics:
    """How well one structure of one case is segmented; NaN where a number is not defined.

    Attributes:
        dice, jaccard: overlap, percent.
        hd95: 95th percentile of the surface distances in both directions together, voxels.
        asd: mean distance from the prediction's surface to the truth's, voxels (not symmetric).
        hd95_mm, asd_mm: the same in mm; NaN where the spacing is unknown.
        missed: the truth has the structure and the prediction has not; overlap 0, distances NaN.
        spurious: the prediction has the structure and the truth has not; overlap 0, distances NaN.
        absent: neither has it; every number is NaN.
    """

    dice: float = nan
    jaccard: float = nan
    hd95: float = nan
    asd: float = nan
    hd95_mm: float = nan
    asd_mm: float = nan
    missed: bool = False
    spurious: bool = False
    absent: bool = False


COLUMNS = ("case", "group", "class", *(field.name for field in fields(ClassMetrics)))
"""Columns of metrics.csv: one row per case and class."""


def measure(
    prediction: np.ndarray,
    truth: np.ndarray,
    classes: tuple[str, ...],
    spacing: tuple[float, ...] | None = None,
) -> list[dict[str, Any]]:
    """Return one row per class: its name as "class", and the fields of `ClassMetrics`.

    Args:
        prediction, truth: label maps of the same shape, 2D or 3D; 0 is background.
        classes: names of labels 1, 2, ….
        spacing: mm between voxels along each axis; None: unknown.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} must have the same shape")
    return [
        {"class": name, **asdict(measure_masks(prediction == number, truth == number, spacing))}
        for number, name in enumerate(classes, start=1)
    ]


def measure_masks(
    prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...] | None = None
) -> ClassMetrics:
    """Return the metrics of one structure, given as two boolean masks of the same shape."""
    predicted, present = bool(prediction.any()), bool(truth.any())
    if not (predicted and present):
        overlap = 0.0 if predicted or present else nan
        return ClassMetrics(
            dice=overlap,
            jaccard=overlap,
            missed=present,
            spurious=predicted,
            absent=not (predicted or present),
        )
    box = bounding_box(prediction | truth)
    prediction, truth = prediction[box], truth[box]
    common, total = np.count_nonzero(prediction & truth), np.count_nonzero(prediction) + np.count_nonzero(truth)
    surfaces = surface_voxels(prediction), surface_voxels(truth)
    hd95, asd = surface_distances(*surfaces)
    hd95_mm, asd_mm = surface_distances(*(s * spacing for s in surfaces)) if spacing else (nan, nan)
    return ClassMetrics(
        dice=100 * (2 * common / total),
        jaccard=100 * (common / (total - common)),
        hd95=hd95,
        asd=asd,
        hd95_mm=hd95_mm,
        asd_mm=asd_mm,
    )


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box that holds every voxel of a mask that is not empty."""
    axes = range(mask.ndim)
    profiles = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(profile[0], profile[-1] + 1) for profile in profiles)


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    """Return the indices (N, D) of the voxels that have a face neighbour outside the mask.

    Beyond the array is outside, which is why a crop to a joint bounding box changes nothing.
    """
    padded, inner = np.pad(mask, 1), mask.copy()
    for axis in range(mask.ndim):
        for side in (slice(None, -2), slice(2, None)):
            inner &= padded[tuple(side if other == axis else slice(1, -1) for other in range(mask.ndim))]
    return np.argwhere(mask & ~inner)


def surface_distances(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return HD95 and ASD of two surfaces, given as points (N, D) and (M, D), in the points' unit."""
    # Surfaces are spread evenly, so that trees need not be balanced, which costs more than it saves.
    there, _ = KDTree(truth, balanced_tree=False).query(prediction)
    back, _ = KDTree(prediction, balanced_tree=False).query(truth)
    return float(np.percentile(np.concatenate([there, back]), 95)), float(there.mean())
