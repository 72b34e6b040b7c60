"""From the files of one case to a case in memory: read, checked, normalised, cropped."""

import logging
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets.description import Description
from m3hl.data.case import Case
from m3hl.data.channels import apart, each
from m3hl.data.checks import check_image, check_label, map_label
from m3hl.data.crop import center_window, label_window
from m3hl.data.datasets.files import CaseFiles
from m3hl.data.frame import Frame
from m3hl.data.images import read_pair
from m3hl.data.normalize import NORMALIZATIONS
from m3hl.errors import UserError

log = logging.getLogger(__name__)


def read_case(files: CaseFiles, config: DatasetConfig, description: Description, frame: Frame) -> Case:
    """Return one case, ready for the store; of a frame it has the orientation.

    Raises:
        UserError: a file is missing or damaged, or its content fails a check; the message names it.
    """
    if config.source == "public":
        return read_public(files, description)
    return read_raw(files, config, description, frame)


def read_public(files: CaseFiles, description: Description) -> Case:
    """Return a case of the field's preprocessed HDF5 files, whose values stay as they are.

    Several files are the slices of one volume, stacked along axis 0.
    """
    pairs = [read_public_file(path) for path in files.images]
    shape = pairs[0][0].shape
    for path, (image, label) in zip(files.images, pairs, strict=True):
        if not image.shape == label.shape == shape:
            raise UserError(
                f"{path}: image {image.shape} and label {label.shape}, expected {shape}; get the file again"
            )
    if len(pairs) > 1:
        image, label = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    else:
        image, label = pairs[0]
    where = f"{files.images[0]} ({files.name})"
    check_image(image, where)
    labels = check_label(label, image.shape, known_labels(description), where)
    return Case(files.name, files.group, files.split, image.astype(np.float32), labels, None)


def read_public_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays `image` and `label` of one public HDF5 file."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; get it again, or set download: true")
    try:
        with h5py.File(path, "r") as file:
            return file["image"][()], file["label"][()]
    except (OSError, KeyError) as error:
        raise UserError(
            f"{path}: no whole HDF5 file with the arrays image and label; delete it and get it again"
        ) from error


def read_raw(files: CaseFiles, config: DatasetConfig, description: Description, frame: Frame) -> Case:
    """Return a case of medical image files, normalised over the whole scan and then cropped."""
    first, *others = files.images
    notes: list[str] = []
    image, label, geometry = read_pair(
        first, files.label, description.dimensions, frame.orientation, notes, others=others
    )
    for path, channel in zip(files.images, apart(image), strict=True):
        check_image(channel, f"{path} ({files.name})")
    if label is not None and description.mapped:
        label, ignored = map_label(label, description.mapped, f"{files.label} ({files.name})")
        if ignored:
            notes.append(f"label values taken as background: {', '.join(map(str, ignored))}")
    elif label is not None:
        values = description.raw_labels or known_labels(description)
        where = f"{files.label} ({files.name})"
        label = check_label(label, image.shape[-3:], values, where, may_be_empty=description.empty_labels)
    levels = percentiles(image) if config.source == "folder" else None
    image = each(NORMALIZATIONS[description.normalization], image)
    if description.roi is not None and label is not None:
        if config.crop_around == "label":
            window = label_window(label, description.roi, files.name)
        else:
            window = center_window(image.shape, description.roi)
            outside = np.count_nonzero(label) - np.count_nonzero(label[window])
            if outside:
                log.warning("%s: the central crop leaves out %d voxels of the label", files.name, outside)
        image, label = np.ascontiguousarray(image[window]), np.ascontiguousarray(label[window])
        geometry = replace(geometry, offset=tuple(part.start for part in window))
    return Case(files.name, files.group, files.split, image, label, geometry, tuple(notes), levels)


def percentiles(image: np.ndarray) -> tuple[float, ...]:
    """Return the values that 1, 50 and 99 % of an image's voxels stay below, channel after channel."""
    return tuple(value for channel in apart(image) for value in np.percentile(channel, (1, 50, 99)).tolist())


def known_labels(description: Description) -> tuple[int, ...]:
    """Return the label values of the data set, background first."""
    return tuple(range(len(description.classes) + 1))
