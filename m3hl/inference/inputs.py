"""Which scans a command line means: files, folders of images or of DICOM, patterns, and lists of these."""

import glob
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from m3hl.data.datasets.custom import SAFE_NAME, listed_images, read_images
from m3hl.data.dicom import holds_series, series_below
from m3hl.errors import UserError

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".tiff")


class Scan(NamedTuple):
    """What gets one label map.

    Attributes:
        name: of the label map, without its ending.
        images: a file or a DICOM folder; several where the networks want several images of a case.
    """

    name: str
    images: tuple[Path, ...]


def find_scans(given: Iterable[Path]) -> list[Scan]:
    """Return each image that is meant, as a scan that is called like it; raises `UserError` as `find_images`."""
    return [Scan(stem(path), (path,)) for path in find_images(given)]


def listed_scans(table: Path) -> list[Scan]:
    """Return the scans in a CSV with the columns case and image (or image_1, image_2, …), as one trains with.

    Raises:
        UserError: the list cannot be read, is empty, or a name stands there twice or cannot name a file.
    """
    rows = read_images(table, "list of scans", ("case", "image"))
    if not rows:
        raise UserError(f"{table}: this list of scans is empty; add a line for each scan")
    for row in rows:
        if not SAFE_NAME.fullmatch(row["case"]):
            raise UserError(f"{table}: {row['case']!r} cannot name a case; use letters, digits and . _ + - only")
    counts = Counter(row["case"] for row in rows)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise UserError(f"{table}: case {twice[0]} stands there twice; rename one")
    return [Scan(row["case"], listed_images(row, table)) for row in rows]


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
    scans = [path for path in (folder, *inside) if path.is_dir() and holds_series(path)]
    if files or scans:
        return files or scans
    below = ", ".join(map(str, series_below(folder)))
    remedy = f"DICOM series lie deeper ({below}): give such folders, or --list them" if below else "check the path"
    raise UserError(f"{folder}: this folder holds no image ({', '.join(ENDINGS)}) and no DICOM scan; {remedy}")


def stem(path: Path) -> str:
    """Return a file's name without the ending of its image format, or a folder's name."""
    if path.is_dir():
        return path.resolve().name
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), path.suffix)
    return path.name[: len(path.name) - len(ending)]
