"""DICOM series: the files of a folder that are the slices of one volume."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.errors import UserError

POSITION, COSINES, DESCRIPTION = "0020|0032", "0020|0037", "0008|103e"
GAP = 0.1
"""Slices may lie so many slice distances from where even steps would put them."""
TILT = 0.5
"""Voxels by which the last slice may lie beside where a straight stack would have it."""


def read_series(folder: Path) -> sitk.Image:
    """Return the one DICOM series in a folder as a volume, rescaled to its unit (HU in CT).

    Raises:
        UserError: the folder holds no series or several, a file is damaged, or slices are missing.
    """
    names = only_series(folder)
    if len(names) == 1:
        # It may hold all slices (enhanced DICOM), which the reader of series does not know.
        return sitk.ReadImage(names[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    if all(reader.HasMetaDataKey(number, key) for number in range(len(names)) for key in (POSITION, COSINES)):
        points = np.array([numbers(reader.GetMetaData(number, POSITION)) for number in range(len(names))])
        require_even(points, folder)
        require_straight(points, np.array(numbers(reader.GetMetaData(0, COSINES))), image, folder)
    return image


def numbers(text: str) -> list[float]:
    """Return a list of numbers as DICOM writes it."""
    return [float(number) for number in text.split("\\")]


def only_series(folder: Path) -> list[str]:
    """Return the files of the one series in a folder, in the order of their positions."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise UserError(f"{folder}: this folder holds no DICOM series; give an image file, or such a folder")
    files = {one: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), one) for one in series}
    if len(series) > 1:
        listed = ", ".join(f"{described(names[0], one)} ({len(names)} files)" for one, names in files.items())
        raise UserError(
            f"{folder}: this folder holds {len(series)} DICOM series: {listed}; put the one that you mean into "
            "a folder of its own"
        )
    return list(files[series[0]])


def described(name: str, series: str) -> str:
    """Return what a series is called in one of its files, or its identifier."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(name)
    reader.ReadImageInformation()
    text = reader.GetMetaData(DESCRIPTION).strip() if reader.HasMetaDataKey(DESCRIPTION) else ""
    return text or series


def require_even(points: np.ndarray, folder: Path) -> None:
    """Raise `UserError` unless slices, given by their positions (N, 3) in mm, follow in even steps."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    usual = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - usual) > GAP * usual)
    if usual == 0 or odd.size:
        where = int(odd[0]) if odd.size else 0
        raise UserError(
            f"{folder}: slices {where + 1} and {where + 2} of the DICOM series are {steps[where]:.2f} mm apart, "
            f"the others {usual:.2f} mm; slices are missing or there twice: get the series again"
        )


def require_straight(points: np.ndarray, cosines: np.ndarray, image: sitk.Image, folder: Path) -> None:
    """Raise `UserError` for slices that are moved against each other, as a tilted gantry takes them.

    Args:
        points: positions (N, 3) of the slices, mm.
        cosines: directions of a slice's rows and columns (6,).
        image: the volume, for the spacing.
        folder: for the message.
    """
    way = points[-1] - points[0]
    beside = cosines.reshape(2, 3) @ way / image.GetSpacing()[:2]
    if np.abs(beside).max() > TILT:
        tilt = np.degrees(np.arcsin(min(1, np.linalg.norm(cosines.reshape(2, 3) @ way) / np.linalg.norm(way))))
        raise UserError(
            f"{folder}: the slices of this DICOM series are tilted by {tilt:.1f}° against the stack (a tilted "
            "gantry), which no grid at right angles describes; resample it to straight axes and give it as NIfTI"
        )
