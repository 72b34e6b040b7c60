"""DICOM series: the files of a folder that are the slices of one volume; what is none is told."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.errors import UserError

POSITION, COSINES, DESCRIPTION, SERIES = "0020|0032", "0020|0037", "0008|103e", "0020|000e"
CLASS = b"\x02\x00\x02\x00UI"
"""What stands before the class of a DICOM file's content, in its first bytes."""
STRUCTURES = {
    b"1.2.840.10008.5.1.4.1.1.66.4": "segmentation (SEG), whose frames are of single structures",
    b"1.2.840.10008.5.1.4.1.1.66.7": "segmentation (SEG), which ITK cannot read",
    b"1.2.840.10008.5.1.4.1.1.481.3": "set of contours (RTSTRUCT), which are no voxels",
}
"""Labels as DICOM has them; ITK reads the first kind as if it were a stack of slices without a place."""
MOST_FOLDERS = 3
"""So many folders are named where a series lies deeper."""
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
    refuse_structures(Path(names[0]))
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
        below = list(series_below(folder))
        remedy = f"give the one that you mean ({', '.join(map(str, below))})" if below else "check the path"
        raise UserError(f"{folder}: this folder holds no DICOM series; {remedy}")
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


def series_below(folder: Path) -> Iterator[Path]:
    """Return the first folders below one that hold DICOM series, by name; no more than needed is read."""
    return islice((one for one in folders_below(folder) if holds_series(one)), MOST_FOLDERS)


def folders_below(folder: Path) -> Iterator[Path]:
    """Yield the folders with files below one, in the order of names."""
    for here, folders, files in os.walk(folder):
        folders.sort()
        if files and Path(here) != folder:
            yield Path(here)


def holds_series(folder: Path) -> bool:
    """Return whether a folder holds files of a DICOM series."""
    return bool(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)))


def refuse_structures(path: Path) -> None:
    """Raise `UserError` for a DICOM file that holds structures and no image of its own."""
    with path.open("rb") as file:
        _, found, rest = file.read(1024).partition(CLASS)
    kind = rest[2 : 2 + int.from_bytes(rest[:2], "little")].rstrip(b"\0") if found else b""
    if kind in STRUCTURES:
        raise UserError(
            f"{path}: this is a DICOM {STRUCTURES[kind]}; save it as a NIfTI label map on its image's grid (3D "
            "Slicer opens and exports it, dcmqi's segimage2itkimage converts a SEG)"
        )


def refuse_lone_slice(path: Path, image: sitk.Image) -> None:
    """Raise `UserError` for one file of a DICOM series of several, which is not the scan that was meant."""
    if image.GetDimension() != 3 or image.GetSize()[2] != 1 or not image.HasMetaDataKey(SERIES):
        return
    series = image.GetMetaData(SERIES).strip("\0 ")
    count = len(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path.parent), series))
    if count > 1:
        raise UserError(
            f"{path}: this is one of {count} slices of a DICOM series; give their folder, {path.parent}"
        )
