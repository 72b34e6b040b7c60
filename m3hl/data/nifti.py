"""Is a NIfTI file whole? ITK reads a truncated one without a word and fills the rest with zeros."""

import gzip
import zlib
from math import prod
from pathlib import Path

import SimpleITK as sitk

from m3hl.errors import UserError

BLOCK = 2**20


def check_whole(path: Path, image: sitk.Image) -> None:
    """Raise `UserError` when a NIfTI file holds fewer bytes than its header promises; other formats pass.

    Args:
        path: the file.
        image: what ITK read from it.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        return
    needed = int(float(image.GetMetaData("vox_offset")))
    needed += prod(image.GetSize()) * image.GetNumberOfComponentsPerPixel() * int(image.GetMetaData("bitpix")) // 8
    try:
        found = unpacked_size(path) if path.suffix == ".gz" else path.stat().st_size
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; get the file again") from None
    if found < needed:
        raise UserError(f"{path}: {found} bytes, but its header promises {needed}; get the file again")


def unpacked_size(path: Path) -> int:
    """Return how many bytes a gzip file holds, having compared its CRC on the way."""
    with gzip.open(path) as file:
        return sum(len(block) for block in iter(lambda: file.read(BLOCK), b""))
