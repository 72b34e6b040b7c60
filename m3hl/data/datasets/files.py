"""What a data set module tells about its files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Download:
    """Where a data set's files can be had.

    Attributes:
        page: the page that describes them and their terms, for a person.
        url: what is fetched: an archive, or the address before a manifest's paths; None: by hand only.
        terms: under which terms the files may be used; shown before they are fetched.
        sha256: digest of the archive, where one is known.
    """

    page: str
    url: str | None
    terms: str
    sha256: str | None = None


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case (one volume), before anything is read.

    Attributes:
        name: unique name of the case, e.g. "patient099_frame01".
        group: what is labeled or split as one, e.g. the patient "patient099".
        split: "train", "val" or "test".
        images: one volume (a file, or a folder of DICOM slices), or one file per slice in order (public ACDC).
        label: label map in a file (or folder) of its own; None where it lies in the image's file (public HDF5) or
            where the case has none (see `labeled`).
        labeled: whether the source promises a label for this case.
        notes: other files that the above was read from (Info.cfg, split file, CSV).
    """

    name: str
    group: str
    split: Split
    images: tuple[Path, ...]
    label: Path | None = None
    labeled: bool = True
    notes: tuple[Path, ...] = ()

    def data_paths(self) -> tuple[Path, ...]:
        """Return the files that hold the image and the label map."""
        return self.image_paths() if self.label is None else (*self.image_paths(), *files_of(self.label))

    def image_paths(self) -> tuple[Path, ...]:
        """Return the files that hold the image."""
        return tuple(path for image in self.images for path in files_of(image))

    def all_paths(self) -> tuple[Path, ...]:
        """Return every file that the case depends on."""
        return (*self.data_paths(), *self.notes)


def files_of(path: Path) -> list[Path]:
    """Return the files in a folder, or the one file that a path is; hidden files are none of ours."""
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
