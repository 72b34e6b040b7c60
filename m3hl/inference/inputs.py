"""Which images a command line means: files, folders of images or of DICOM, and patterns."""

import glob
from collections.abc import Iterable
from pathlib import Path

import SimpleITK as sitk

from m3hl.errors import UserError

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".tiff")


def find_images(given: Iterable[Path]) -> list[Path]:
    """Return the files, and the folders of one DICOM scan, that are meant; those of a folder by name.

    Raises:
        UserError: a folder or a pattern leads to no image.
    """
    found: list[Path] = []
    for path in given:
        if glob.has_magic(str(path)) and not path.exists():
            # Path.glob takes no pattern that begins at the root.
            matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
            if not matches:
                raise UserError(f"{path}: no file is called like this; check the pattern")
            found += find_images(matches)
        else:
            found += images_in(path) if path.is_dir() else [path]
    return found


def images_in(folder: Path) -> list[Path]:
    """Return the image files in a folder; without any, itself or those folders in it that hold DICOM scans."""
    inside = sorted(folder.iterdir())
    files = [path for path in inside if path.is_file() and path.name.lower().endswith(ENDINGS)]
    scans = [path for path in (folder, *inside) if path.is_dir() and holds_dicom(path)]
    if files or scans:
        return files or scans
    raise UserError(
        f"{folder}: this folder holds no image ({', '.join(ENDINGS)}) and no DICOM scan; check the path"
    )


def holds_dicom(folder: Path) -> bool:
    """Return whether a folder holds files of a DICOM series."""
    return bool(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)))


def stem(path: Path) -> str:
    """Return a file's name without the ending of its image format, or a folder's name."""
    if path.is_dir():
        return path.resolve().name
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), path.suffix)
    return path.name[: len(path.name) - len(ending)]
