"""Medical image files (NIfTI, NRRD, MHA) to arrays with a geometry, and label maps back."""

from itertools import product
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from m3hl.data.case import Geometry
from m3hl.data.scans import read_scan, reason
from m3hl.errors import UserError
from m3hl.files.atomic import atomic

TOLERANCE = 1e-3
"""Headers hold float32 or decimal text, so equal geometries differ a little (mm; no unit for cosines)."""
SHIFT = 0.1
"""Voxels by which a label map may lie beside its image: tools round positions."""


def read_volume(
    path: Path, dimensions: Literal[2, 3], orientation: str | None = None, notes: list[str] | None = None
) -> tuple[np.ndarray, Geometry]:
    """Return a volume and where its voxels lie.

    Args:
        path: NIfTI, NRRD, MHA or whatever else ITK reads, or a folder with one DICOM series.
        dimensions: 2 for arrays (Z, H, W), slices along axis 0; 3 for arrays (X, Y, Z).
        orientation: to where its axes are turned, e.g. "LPS"; None: they stay as the file has them.
        notes: what had to be done to the file is added here, one phrase each.

    Raises:
        UserError: the file is missing, damaged, no image, or not a volume of numbers.
    """
    notes = [] if notes is None else notes
    return to_array(read_scan(path, dimensions, notes), dimensions, orientation, notes)


def read_pair(
    image: Path,
    label: Path | None,
    dimensions: Literal[2, 3],
    orientation: str | None = None,
    notes: list[str] | None = None,
) -> tuple[np.ndarray, np.ndarray | None, Geometry]:
    """Return a volume, its label map (None where there is none) and their common geometry.

    The arguments are those of `read_volume`.

    Raises:
        UserError: as `read_volume`, or the two differ in shape or geometry.
    """
    notes = [] if notes is None else notes
    scan = read_scan(image, dimensions, notes)
    classes = None
    if label is not None:
        about: list[str] = []
        other = read_scan(label, dimensions, about)
        turned = sitk.DICOMOrient(other, letters(scan))
        if letters(other) != letters(scan) and displacement(scan, turned) <= SHIFT:
            about.append(f"turned from {letters(other)} to its image's {letters(scan)}")
            other = turned
        require_same_grid(label, scan, other, dimensions, about)
        notes += [f"label map: {note}" for note in about]
        classes, _ = to_array(other, dimensions, orientation, [])
    voxels, geometry = to_array(scan, dimensions, orientation, notes)
    return voxels, classes, geometry


def require_same_grid(
    label: Path, scan: sitk.Image, other: sitk.Image, dimensions: Literal[2, 3], notes: list[str]
) -> None:
    """Raise `UserError` unless a label map's voxels lie where its image's do.

    Headers hold rounded numbers: a tenth of a voxel at most is no difference, and stands in the notes.
    """
    shapes = [one.GetSize() if dimensions == 3 else one.GetSize()[::-1] for one in (other, scan)]
    if shapes[0] != shapes[1]:
        raise UserError(f"{label}: the label map has shape {shapes[0]}, its image {shapes[1]}; they must be equal")
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
            f"{label}: the label map's {key} is {theirs}, its image's {ours}, so that voxels lie up to "
            f"{furthest:.2g} voxels apart (at most {SHIFT} is taken for rounding); resample the label map to the "
            "image, or copy the header if only that is wrong"
        )
    notes.append(f"{furthest:.2g} voxels from its image's grid, taken as lying on it")


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


def to_array(
    image: sitk.Image, dimensions: Literal[2, 3], orientation: str | None, notes: list[str]
) -> tuple[np.ndarray, Geometry]:
    """Return a volume's array, its axes turned to an orientation, and the grid of the file that it came from.

    A turn is added to the notes.
    """
    turn = sitk.DICOMOrientImageFilter()
    turn.SetDesiredCoordinateOrientation(orientation or letters(image))
    turned = turn.Execute(image)
    if letters(turned) != letters(image):
        notes.append(f"turned from {letters(image)} to {letters(turned)}")
    array = sitk.GetArrayFromImage(turned)
    if dimensions == 3:
        array = np.ascontiguousarray(array.transpose())
    axes, flipped = [0] * 3, [False] * 3
    for ours, theirs in enumerate(turn.GetPermuteOrder()):
        axes[theirs] = 2 - ours if dimensions == 2 else ours
        flipped[axes[theirs]] = bool(turn.GetFlipAxes()[ours])
    spacing = [0.0] * 3
    for axis, millimetres in zip(axes, image.GetSpacing(), strict=True):
        spacing[axis] = millimetres
    return array, Geometry(
        spacing=tuple(spacing),
        origin=image.GetOrigin(),
        direction=image.GetDirection(),
        axes=tuple(axes),
        offset=(0, 0, 0),
        size=array.shape,
        flipped=tuple(flipped),
    )


def write_map(path: Path, label: np.ndarray, geometry: Geometry) -> None:
    """Write a label map, or one of probabilities, onto the grid of the original image; what a crop left out is 0.

    Args:
        path: the file; its ending says the format (.nii.gz, .nrrd, .mha).
        label: on the (cropped) grid that `geometry` describes.
        geometry: of the case that was segmented.
    """
    whole = np.zeros(geometry.size, label.dtype)
    window = tuple(slice(at, at + n) for at, n in zip(geometry.offset, label.shape, strict=True))
    whole[window] = label
    whole = np.flip(whole, [axis for axis in range(3) if geometry.flipped[axis]])
    # ITK's buffer runs over (z, y, x), whatever the array's order is.
    image = sitk.GetImageFromArray(np.ascontiguousarray(whole.transpose(geometry.axes[::-1])))
    image.SetSpacing([geometry.spacing[axis] for axis in geometry.axes])
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    write_image(path, image)


def write_image(path: Path, image: sitk.Image) -> None:
    """Write an ITK image atomically, compressed."""
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    with atomic(path) as part:
        # ITK takes the format from the ending, which the temporary name lacks.
        named = part.with_name(part.name + suffix)
        try:
            sitk.WriteImage(image, str(named), useCompression=True)
            # On a full disk ITK writes a part of a NIfTI file and says nothing.
            if not same_voxels(sitk.ReadImage(str(named)), image):
                raise UserError(f"{path}: cannot write all of this image; check space")
            named.replace(part)
        except RuntimeError as error:
            raise UserError(
                f"{path}: cannot write this image ({reason(error)}); check its ending, space and permissions"
            ) from error
        finally:
            named.unlink(missing_ok=True)


def same_voxels(one: sitk.Image, other: sitk.Image) -> bool:
    """Return whether two images hold the same values."""
    return np.array_equal(sitk.GetArrayViewFromImage(one), sitk.GetArrayViewFromImage(other))


def rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return numbers fit for a message."""
    return tuple(round(value, 4) for value in values)
