"""What ITK does not say about a NIfTI file: it fills a truncated one with zeros, and mends NaN silently."""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.data.checks import check_finite
from m3hl.errors import UserError

SPACING, OFFSET = slice(20, 23), 27
"""Places of these numbers in a header of 348 bytes; ITK takes 1 mm and the header's end where they cannot be."""
FLOATS = {"16": "f4", "64": "f8"}
"""NIfTI's codes of the data types that can hold NaN."""


def check_nifti(path: Path, image: sitk.Image) -> None:
    """Raise `UserError` for a NIfTI file that is shorter than its header promises or holds NaN or infinity.

    Args:
        path: the file; those of other formats pass.
        image: what ITK read from it.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
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
    """Return a file's bytes, uncompressed and with the CRC compared; raises `UserError` where it is damaged."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; get the file again") from None
