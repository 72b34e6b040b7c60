"""One file, or one folder of DICOM slices, as a volume of ITK's: what hospital files need is done here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import SimpleITK as sitk

from m3hl.data.dicom import read_series, refuse_lone_slice, refuse_structures
from m3hl.data.nifti import check_nifti, explain_shear, is_nifti, refuse_hidden_gzip
from m3hl.errors import UserError

PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"
# What ITK says there is said below, once and with the file's name.
sitk.ProcessObject.GlobalWarningDisplayOff()


def read_scan(path: Path, dimensions: Literal[2, 3], notes: list[str]) -> sitk.Image:
    """Return a volume on the grid of its file.

    Args:
        path: NIfTI, NRRD, MHA or whatever else ITK reads, or a folder with one DICOM series.
        dimensions: 2 also takes a single slice.
        notes: what had to be done to the file is added here, one phrase each.

    Raises:
        UserError: the file is missing, damaged, no image, or not a volume of numbers.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such image; check the path")
    try:
        image = read_series(path) if path.is_dir() else read_file(path, dimensions, notes)
    except RuntimeError as error:
        raise UserError(f"{path}: cannot read this image ({reason(error)}); get the file again") from error
    check_nifti(path, image)
    axes, values = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if axes == 4 and image.GetSize()[3] == 1:
        image, axes = image[:, :, :, 0], 3
    if axes == 2 and dimensions == 2:
        image, axes = sitk.JoinSeries(image), 3
    if axes != 3 or values != 1:
        raise UserError(
            f"{path}: an image with {axes} axes and {values} "
            "values per voxel, expected 3 axes and 1 value; give one volume (slices stacked) per case"
        )
    return image


def read_file(path: Path, dimensions: Literal[2, 3], notes: list[str]) -> sitk.Image:
    """Return what ITK reads from a file; of a NIfTI with sheared axes what comes nearest, if it is near."""
    refuse_hidden_gzip(path)
    refuse_structures(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        if not (is_nifti(path) and "orthonormal" in str(error)):
            raise
        with permissive():
            image = sitk.ReadImage(str(path))
    if is_nifti(path):
        explain_shear(path, image, notes)
    if dimensions == 3:
        refuse_lone_slice(path, image)
    return image


@contextmanager
def permissive() -> Iterator[None]:
    """Let ITK take the nearest axes at right angles where those of a NIfTI file are sheared."""
    before = os.environ.get(PERMISSIVE)
    os.environ[PERMISSIVE] = "1"
    try:
        yield
    finally:
        os.environ.pop(PERMISSIVE)
        if before is not None:
            os.environ[PERMISSIVE] = before


def reason(error: RuntimeError) -> str:
    """Return the last sentence of an ITK exception, which says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
