"""Medical image files (NIfTI, NRRD, MHA) to arrays with a geometry, and label maps back."""

from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from m3hl.data.case import Geometry
from m3hl.data.nifti import check_nifti
from m3hl.errors import UserError
from m3hl.files.atomic import atomic

TOLERANCE = 1e-3
"""Headers hold float32 or decimal text, so equal geometries differ a little (mm; no unit for cosines)."""


def read_volume(path: Path, dimensions: Literal[2, 3]) -> tuple[np.ndarray, Geometry]:
    """Return a volume as it is stored, and where its voxels lie.

    Args:
        path: NIfTI, NRRD, MHA or whatever else ITK reads.
        dimensions: 2 for arrays (Z, H, W), slices along axis 0; 3 for arrays (X, Y, Z).

    Raises:
        UserError: the file is missing, damaged, no image, or not a volume of numbers.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such image; check the path")
    try:
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
    except RuntimeError as error:
        raise UserError(f"{path}: cannot read this image ({reason(error)}); get the file again") from error
    check_nifti(path, image)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(
            f"{path}: an image with {image.GetDimension()} axes and {image.GetNumberOfComponentsPerPixel()} "
            "values per voxel, expected 3 axes and 1 value; give one volume (slices stacked) per case"
        )
    axes = (2, 1, 0) if dimensions == 2 else (0, 1, 2)
    if dimensions == 3:
        array = np.ascontiguousarray(array.transpose())
    spacing = [0.0] * 3
    for axis, millimetres in zip(axes, image.GetSpacing(), strict=True):
        spacing[axis] = millimetres
    return array, Geometry(
        spacing=tuple(spacing),
        origin=image.GetOrigin(),
        direction=image.GetDirection(),
        axes=axes,
        offset=(0, 0, 0),
        size=array.shape,
    )


def read_pair(
    image: Path, label: Path | None, dimensions: Literal[2, 3]
) -> tuple[np.ndarray, np.ndarray | None, Geometry]:
    """Return a volume, its label map (None where there is none) and their common geometry.

    Raises:
        UserError: as `read_volume`, or the two differ in shape or geometry.
    """
    voxels, geometry = read_volume(image, dimensions)
    if label is None:
        return voxels, None, geometry
    classes, other = read_volume(label, dimensions)
    if voxels.shape != classes.shape:
        raise UserError(
            f"{label}: the label map has shape {classes.shape}, its image {voxels.shape}; they must be equal"
        )
    for key in ("spacing", "origin", "direction"):
        ours, theirs = getattr(geometry, key), getattr(other, key)
        if not np.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE):
            raise UserError(
                f"{label}: the label map's {key} is {rounded(theirs)}, its image's {rounded(ours)}; "
                "resample the label map to the image, or copy the header if only that is wrong"
            )
    return voxels, classes, geometry


def write_label(path: Path, label: np.ndarray, geometry: Geometry) -> None:
    """Write a label map onto the grid of the original image; what a crop left out is background.

    Args:
        path: the file; its ending says the format (.nii.gz, .nrrd, .mha).
        label: uint8, on the (cropped) grid that `geometry` describes.
        geometry: of the case that was segmented.
    """
    whole = np.zeros(geometry.size, np.uint8)
    window = tuple(slice(at, at + n) for at, n in zip(geometry.offset, label.shape, strict=True))
    whole[window] = label
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


def reason(error: RuntimeError) -> str:
    """Return the last sentence of an ITK exception, which says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return numbers fit for a message."""
    return tuple(round(value, 4) for value in values)
