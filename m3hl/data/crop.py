"""The region of a raw scan that is kept: the first two axes are cropped, the third stays whole."""

import hashlib

import numpy as np

from m3hl.config.datasets.description import Roi

Window = tuple[slice, slice, slice]


def label_window(label: np.ndarray, roi: Roi, name: str) -> Window:
    """Return the label's bounding box with random margins, at least `roi.least` voxels where the scan allows.

    Args:
        label: (X, Y, Z), not empty.
        roi: margins and least size, voxels.
        name: the case; it alone seeds the margins, so that other cases do not change them.
    """
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
    window = []
    for axis, least in enumerate(roi.least):
        inside = np.flatnonzero(label.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = int(inside[0]), int(inside[-1]) + 1
        before, after = rng.integers(roi.margin[0], roi.margin[1], size=2, endpoint=True)
        window.append(widened(low - int(before), high + int(after), least, label.shape[axis]))
    return window[0], window[1], slice(0, label.shape[2])


def center_window(shape: tuple[int, ...], roi: Roi) -> Window:
    """Return the middle `roi.center` voxels of a scan of `shape`, or the whole of a smaller one."""
    x, y = (widened(size // 2, size // 2, want, size) for want, size in zip(roi.center, shape[:2], strict=True))
    return x, y, slice(0, shape[2])


def widened(low: int, high: int, least: int, size: int) -> slice:
    """Return [low, high) inside [0, size), widened evenly to `least` voxels and shifted inwards at a border.

    >>> widened(-3, 5, 10, 100)
    slice(0, 10, None)
    >>> widened(40, 50, 20, 100)
    slice(35, 55, None)
    """
    low, high = max(low, 0), min(high, size)
    length = max(high - low, min(least, size))
    start = max(low - (length - (high - low)) // 2, 0)
    start = min(start, size - length)
    return slice(start, start + length)
