"""What ITK does not say about a NIfTI file: it fills a truncated one with zeros, and mends NaN silently.

Nor does it say what is wrong with axes that are not at right angles.
"""

import gzip
import zlib
from itertools import combinations, product
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.data.checks import check_finite
from m3hl.errors import UserError

SPACING, OFFSET = slice(20, 23), 27
"""Places of these numbers in a header of 348 bytes; ITK takes 1 mm and the header's end where they cannot be."""
GZIP = b"\x1f\x8b"
SHEAR = 0.5
"""Voxels by which a voxel may lie elsewhere than sheared axes put it; straight ones then mean the same."""
FLOATS = {"16": "f4", "64": "f8"}
"""NIfTI's codes of the data types that can hold NaN."""


def is_nifti(path: Path) -> bool:
    """Return whether a file's name is that of a NIfTI file."""
    return path.is_file() and path.name.lower().endswith((".nii", ".nii.gz"))


def refuse_hidden_gzip(path: Path) -> None:
    """Raise `UserError` for a NIfTI file that is compressed though its ending does not say so."""
    if path.name.lower().endswith(".nii") and path.open("rb").read(2) == GZIP:
        raise UserError(f"{path}: this file is compressed with gzip; call it .nii.gz")


def explain_shear(path: Path, image: sitk.Image, notes: list[str]) -> None:
    """Say that the axes of a NIfTI file's sform are sheared, where they are.

    Args:
        path: the file.
        image: what ITK read from it: by the qform where there is one, else by the nearest straight axes.
        notes: one is added.

    Raises:
        UserError: there is no qform, and straight axes put voxels half a voxel or more from where sheared ones do.
    """
    if (
        image.GetDimension() < 3
        or not image.HasMetaDataKey("sform_code")
        or image.GetMetaData("sform_code") == "0"
    ):
        return
    try:
        affine = np.array([image.GetMetaData(f"srow_{axis}").split() for axis in "xyz"], float)
    except ValueError:
        return
    if not np.isfinite(affine).all():
        return
    columns = affine[:, :3] / np.maximum(np.linalg.norm(affine[:, :3], axis=0), 1e-12)
    angles = [
        np.degrees(np.arccos(np.clip(columns[:, a] @ columns[:, b], -1, 1))) for a, b in combinations(range(3), 2)
    ]
    worst = max(angles, key=lambda angle: abs(angle - 90))
    if abs(worst - 90) < 0.01:
        return
    said = f"axes of its sform meet at {worst:.2f}°"
    if image.GetMetaData("qform_code") != "0":
        notes.append(f"{said}: placed by its qform")
        return
    # NIfTI's x and y point to the right and to the front, ITK's to the left and to the back.
    affine[:2] *= -1
    size = image.GetSize()[:3]
    corners = list(product(*((0, n - 1) for n in size)))
    placed = (image.TransformIndexToPhysicalPoint((*c, *[0] * (image.GetDimension() - 3)))[:3] for c in corners)
    moved = np.array([affine @ (*c, 1) - p for c, p in zip(corners, placed, strict=True)])
    furthest = float(np.linalg.norm(moved, axis=1).max() / min(image.GetSpacing()[:3]))
    if not furthest < SHEAR:
        raise UserError(
            f"{path}: {said}, not at 90°, and there is no qform: no grid at right angles is within {SHEAR} voxels "
            f"of it (the nearest is {furthest:.1f} voxels off); resample the image to straight axes, or set its "
            "qform"
        )
    notes.append(f"{said}: straightened, which moves voxels by at most {furthest:.2f} voxels")


def check_nifti(path: Path, image: sitk.Image) -> None:
    """Raise `UserError` for a NIfTI file that is shorter than its header promises or holds NaN or infinity.

    Args:
        path: the file; those of other formats pass.
        image: what ITK read from it.
    """
    if not is_nifti(path):
        return
    values = prod(image.GetSize()) * image.GetNumberOfComponentsPerPixel()
    try:
        start = int(float(image.GetMetaData("vox_offset")))
        end = start + values * int(image.GetMetaData("bitpix")) // 8
    except (RuntimeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: this is no NIfTI file, or its header is damaged; get the file again") from error
    content = unpacked(path)
    if len(content) < end:
        raise UserError(f"{path}: {len(content)} bytes, but its header promises {end}; get the file again")
    # The header begins with its own size, 348 or 540 bytes, and so tells the order of bytes.
    order = "<" if int.from_bytes(content[:4], "little") < 2**16 else ">"
    if np.frombuffer(content, order + "i4", 1) == 348:
        numbers = np.frombuffer(content, order + "f4", 87)
        if not np.isfinite(numbers[SPACING]).all() or not numbers[OFFSET] >= 0:
            raise UserError(f"{path}: spacing or offset in its header is NaN or infinite; get the file again")
    if kind := FLOATS.get(image.GetMetaData("datatype")):
        check_finite(np.frombuffer(content, order + kind, values, start), str(path))


def unpacked(path: Path) -> bytes:
    """Return a file's bytes, uncompressed and with the CRC compared; raises `UserError` where it is damaged.

    A file that is not compressed may have the ending .gz, as some tools write it.
    """
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content.startswith(GZIP) else content
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; get the file again") from None
