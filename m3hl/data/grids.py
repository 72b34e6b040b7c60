"""Volumes that must lie on one grid: a label map on its image's, further images of a case on the first one's."""

from itertools import product
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from m3hl.data.scans import read_scan
from m3hl.errors import UserError

TOLERANCE = 1e-3
"""Headers hold float32 or decimal text, so equal geometries differ a little (mm; no unit for cosines)."""
SHIFT = 0.1
"""Voxels by which a label map may lie beside its image: tools round positions."""


def read_beside(
    path: Path, scan: sitk.Image, what: str, of: str, dimensions: Literal[2, 3], notes: list[str]
) -> sitk.Image:
    """Return a volume that must lie on an image's grid, with its axes in the image's order.

    Args:
        path: its file.
        scan: the image.
        what: what it is called, "the label map".
        of: what the image is called, "its image".
        dimensions, notes: as of `read_volume`.

    Raises:
        UserError: as `read_volume`, or it lies elsewhere.
    """
    about: list[str] = []
    other = read_scan(path, dimensions, about)
    turned = sitk.DICOMOrient(other, letters(scan))
    if letters(other) != letters(scan) and displacement(scan, turned) <= SHIFT:
        about.append(f"turned from {letters(other)} to {of}'s {letters(scan)}")
        other = turned
    require_same_grid(path, scan, other, what, of, dimensions, about)
    notes += [f"{what.removeprefix('the ')}: {note}" for note in about]
    return other


def require_same_grid(
    path: Path,
    scan: sitk.Image,
    other: sitk.Image,
    what: str,
    of: str,
    dimensions: Literal[2, 3],
    notes: list[str],
) -> None:
    """Raise `UserError` unless a label map's, or another image's, voxels lie where an image's do.

    Headers hold rounded numbers: a tenth of a voxel at most is no difference, and stands in the notes.
    """
    shapes = [one.GetSize() if dimensions == 3 else one.GetSize()[::-1] for one in (other, scan)]
    if shapes[0] != shapes[1]:
        raise UserError(f"{path}: {what} has shape {shapes[0]}, {of} {shapes[1]}; they must be equal")
    headers = [
        {"spacing": one.GetSpacing(), "origin": one.GetOrigin(), "direction": one.GetDirection()}
        for one in (scan, other)
    ]
    differing = [
        key for key in headers[0] if not np.allclose(*(h[key] for h in headers), rtol=TOLERANCE, atol=TOLERANCE)
    ]
    if not differing:
        return
    furthest = displacement(scan, other)
    if furthest > SHIFT:
        key = differing[0]
        ours, theirs = (rounded(header[key]) for header in headers)
        raise UserError(
            f"{path}: {what}'s {key} is {theirs}, {of}'s {ours}, so that voxels lie up to {furthest:.2g} voxels "
            f"apart (at most {SHIFT} is taken for rounding); resample {what} to {of.replace('its', 'the')}, or "
            "copy the header if only that is wrong"
        )
    notes.append(f"{furthest:.2g} voxels from {of}'s grid, taken as lying on it")


def displacement(scan: sitk.Image, other: sitk.Image) -> float:
    """Return by how many voxels of the first the voxels of two volumes lie apart at most, along any axis."""
    if scan.GetSize() != other.GetSize():
        return inf
    corners = product(*((0, n - 1) for n in scan.GetSize()))
    points = ((corner, other.TransformIndexToPhysicalPoint(corner)) for corner in corners)
    moved = [np.subtract(scan.TransformPhysicalPointToContinuousIndex(point), corner) for corner, point in points]
    return float(np.abs(moved).max())


def letters(image: sitk.Image) -> str:
    """Return to where a volume's axes point, e.g. "LPS": left, posterior, superior."""
    return orientation_of(image.GetDirection())


def orientation_of(direction: tuple[float, ...]) -> str:
    """Return to where axes with these direction cosines point, as `letters`."""
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction)


def rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return numbers fit for a message."""
    return tuple(round(value, 4) for value in values)
