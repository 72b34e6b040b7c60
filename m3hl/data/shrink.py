"""Volumes at a lower resolution: the same field of view with fewer voxels."""

from dataclasses import replace

import numpy as np
from skimage.measure import block_reduce

from m3hl.config.dataset import Factors
from m3hl.data.case import Case
from m3hl.data.channels import each


def shrink_image(image: np.ndarray, factors: Factors) -> np.ndarray:
    """Return the mean of each block of an image (X, Y, Z), float32; a border block repeats the last voxels."""
    return block_reduce(filled(image, factors), factors, np.mean).astype(np.float32)


def shrink_label(label: np.ndarray, factors: Factors) -> np.ndarray:
    """Return the most frequent label of each block of a label map (X, Y, Z); of a tie the highest.

    So half a block of foreground is foreground. One voxel of each block would lose more: on 20 of LA's scans a
    label map that went to half the resolution and back has a Dice of 96.9 this way, and of 96.1 that way.
    """
    values, blocks = np.unique(label)[::-1], filled(label, factors)
    counts = [block_reduce(blocks == value, factors, np.sum) for value in values]
    return values[np.argmax(counts, axis=0)]


def shrink_case(case: Case, factors: Factors | None) -> Case:
    """Return a case with a smaller image; only in training is the label map small, too.

    What is measured is measured on the original grid.
    """
    if factors is None:
        return case
    small = replace(case, image=each(lambda channel: shrink_image(channel, factors), case.image))
    if case.label is None or case.split != "train":
        return small
    return replace(small, label=shrink_label(case.label, factors))


def repeated(image: np.ndarray, factors: Factors | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image on the grid of `shape` that was shrunk or resampled, to look at: voxels are blocks again."""
    if factors is None:
        places = [(np.arange(n) * 2 + 1) * m // (2 * n) for n, m in zip(shape, image.shape, strict=True)]
        return image if image.shape == tuple(shape) else image[np.ix_(*places)]
    for axis, factor in enumerate(factors):
        image = np.repeat(image, factor, axis)
    return image[tuple(slice(n) for n in shape)]


def filled(volume: np.ndarray, factors: Factors) -> np.ndarray:
    """Return a volume whose last voxels are repeated until it consists of whole blocks."""
    return np.pad(volume, [(0, -n % f) for n, f in zip(volume.shape, factors, strict=True)], mode="edge")
