"""Medical image files (NIfTI, NRRD, MHA) to arrays with a geometry, and label maps back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from m3hl.data.case import Geometry
from m3hl.data.channels import names, together
from m3hl.data.grids import letters, read_beside
from m3hl.data.scans import read_scan, reason
from m3hl.errors import UserError
from m3hl.files.atomic import atomic


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
    *,
    others: Sequence[Path] = (),
) -> tuple[np.ndarray, np.ndarray | None, Geometry]:
    """Return a volume, its label map (None where there is none) and their common geometry.

    The arguments are those of `read_volume`, and:

    Args:
        others: further images of the case; the volume then is (C, *), their channels after the first.

    Raises:
        UserError: as `read_volume`, or they differ in shape or geometry.
    """
    notes = [] if notes is None else notes
    scan = read_scan(image, dimensions, notes)
    channels = [
        read_beside(path, scan, name, "image_1", dimensions, notes)
        for path, name in zip(others, names(len(others) + 1)[1:], strict=True)
    ]
    classes = None
    if label is not None:
        other = read_beside(label, scan, "the label map", "its image", dimensions, notes)
        classes, _ = to_array(other, dimensions, orientation, [])
    voxels, geometry = to_array(scan, dimensions, orientation, notes)
    further = [to_array(channel, dimensions, orientation, [])[0] for channel in channels]
    return together([voxels, *further]), classes, geometry


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
