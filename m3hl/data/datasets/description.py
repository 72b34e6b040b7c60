"""What a data set module tells about its data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Description:
    """A data set's constants and its published training settings.

    Attributes:
        dimensions: 2 (a U-Net on slices) or 3 (a V-Net on crops).
        classes: names of labels 1, 2, …; label 0 is the background.
        normalization: "minmax" (volume to [0, 1]) or "zscore" (volume to mean 0, variance 1).
        crop: voxels that the network sees, (H, W) or (X, Y, Z).
        labeled_batch, unlabeled_batch: samples per batch and kind.
        iterations: optimiser steps.
        validate_every: iterations between validations.
        selection: which weights are evaluated, "val" or "last".
        stride: voxels between sliding windows in 3D, None in 2D.
        largest_component: whether only the largest component of a predicted label map is kept.
        group: what one labeled count counts: "patient" or "scan".
        citation: what to cite when using the data.
        license: under which terms the data may be used.
        cautions: what a reader of the numbers must know, one sentence each.
        raw_labels: the raw label maps' values of labels 0, 1, 2, … where they are others.
        roi: how raw scans are cropped; None: not at all.
    """

    dimensions: Literal[2, 3]
    classes: tuple[str, ...]
    normalization: Literal["minmax", "zscore"]
    crop: tuple[int, ...]
    labeled_batch: int
    unlabeled_batch: int
    iterations: int
    validate_every: int
    selection: Literal["val", "last"]
    stride: tuple[int, ...] | None
    group: str
    citation: str
    license: str
    largest_component: bool = False
    cautions: tuple[str, ...] = ()
    raw_labels: tuple[int, ...] | None = None
    roi: "Roi | None" = None


@dataclass(frozen=True)
class Roi:
    """How raw scans are cropped in the array's first two axes; the third is kept whole.

    Attributes:
        margin: least and largest random margin around the label's bounding box, voxels, both included.
        least: voxels that the crop has at least, where the scan is that large.
        center: voxels of a crop from the middle of the scan, for `crop_around: center`.
    """

    margin: tuple[int, int]
    least: tuple[int, int]
    center: tuple[int, int]


def synthetic(description: Description) -> Description:
    """Return the description of phantoms that take the place of a data set's images."""
    return replace(
        description,
        citation="synthetic images, made by the package m3hl",
        license="MIT",
        cautions=(
            "The images are synthetic: the numbers say that the code works, not how well it does on patients.",
        ),
    )


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
        images: one volume, or one file per slice in order (public ACDC).
        label: label map in a file of its own; None where it lies in the image's file (public HDF5) or where
            the case has none (see `labeled`).
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
        return self.images if self.label is None else (*self.images, self.label)

    def all_paths(self) -> tuple[Path, ...]:
        """Return every file that the case depends on."""
        return (*self.data_paths(), *self.notes)
