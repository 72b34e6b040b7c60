"""Writing the store (the schema stands in `m3hl.data.store`)."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path

import h5py
import numpy as np

from m3hl.config.dataset import Factors
from m3hl.config.datasets.description import Description
from m3hl.data.case import Case
from m3hl.data.channels import apart, names
from m3hl.data.frame import Frame
from m3hl.data.hdf5 import new_hdf5
from m3hl.data.store import SCHEMA, VERSION, digest

CHUNK_BYTES = 2**18
UNCHANGED = Frame()


def write_store(
    path: Path,
    *,
    kind: str,
    source: str,
    description: Description,
    source_sha256: str,
    cases: Iterable[Case],
    labeled_order: Iterable[str],
    shrink: Factors | None = None,
    frame: Frame = UNCHANGED,
    remarks: Sequence[str] = (),
) -> None:
    """Write cases, in their order, to a store; only one case at a time is held in memory.

    Args:
        path: the file; it appears when the last case is written.
        kind, source: data set module, and where the images came from.
        description: the data set's constants.
        source_sha256: digest of the list of files that the cases are read from.
        cases: image float32 and label uint8 or None, checked and normalised; all with as many images.
        labeled_order: train groups in the order in which they become labeled.
        shrink: voxels along each axis that became one; None: images are as they were.
        frame: geometry that the cases were brought to.
        remarks: what is odd in the data set; asked for when the last case is written.
    """
    text = h5py.string_dtype()
    with new_hdf5(path) as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["version"] = VERSION
        file.attrs["kind"] = kind
        file.attrs["source"] = source
        file.attrs["dimensions"] = description.dimensions
        file.attrs["classes"] = np.array(description.classes, dtype=text)
        file.attrs["labeled_order"] = np.array(tuple(labeled_order), dtype=text)
        file.attrs["source_sha256"] = source_sha256
        file.attrs["citation"] = description.citation
        file.attrs["license"] = description.license
        if shrink:
            file.attrs["shrink"] = np.array(shrink)
        if frame.orientation:
            file.attrs["orientation"] = frame.orientation
        if frame.spacing:
            file.attrs["spacing"] = np.array(frame.spacing, float)
        group = file.create_group("cases", track_order=True)
        images: tuple[str, ...] = ()
        for case in cases:
            images = names(len(apart(case.image)))
            write_case(group.create_group(case.name), case)
        if images:
            file.attrs["images"] = np.array(images, dtype=text)
        if remarks:
            file.attrs["remarks"] = np.array(remarks, dtype=text)


def write_case(group: h5py.Group, case: Case) -> None:
    """Write one case's arrays, digests and geometry to its HDF5 group."""
    group.attrs["group"] = case.group
    group.attrs["split"] = case.split
    for key, value in (asdict(case.geometry) if case.geometry else {}).items():
        if key != "flipped" or any(value):
            group.attrs[key] = np.asarray(value)
    if case.levels:
        group.attrs["levels"] = np.array(case.levels)
    if case.notes:
        group.attrs["notes"] = np.array(case.notes, dtype=h5py.string_dtype())
    images = apart(case.image)
    for key, array in (*zip(names(len(images)) or ("image",), images, strict=True), ("label", case.label)):
        if array is not None:
            group.attrs[f"{key}_sha256"] = digest(array)
            # Without HDF5's shuffle filter: scanners deliver integers, so whole float32 values repeat.
            group.create_dataset(
                key,
                data=array,
                chunks=chunk_shape(array.shape, array.itemsize),
                compression="gzip",
                compression_opts=1,
                track_times=False,
            )


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return whole planes of axis 0, about 256 KiB of them: of a 2D data set one, as slices are read one by one.

    >>> chunk_shape((10, 256, 216), 4)
    (1, 256, 216)
    """
    plane = prod(shape[1:]) * itemsize
    return (max(1, min(shape[0], CHUNK_BYTES // plane)), *shape[1:])
