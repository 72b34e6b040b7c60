"""Which slices of a case are shown, and which part of them."""

from math import ceil

import numpy as np

MARGIN = 0.25
"""Share of the structures' extent that is shown around them in the plane."""
BEYOND = 0.1
"""Share of the structures' extent that is shown beyond them along the slices."""
MOST = 40
"""A case with no more slices is shown from its first to its last one."""
SMALLEST = 32
"""Least pixels of the cut-out along either axis."""

Cut = tuple[slice, slice, slice]
"""Index of the part (N, H, W) of a stack that is shown."""


def stack(volume: np.ndarray, dimensions: int) -> np.ndarray:
    """Return a case as slices (N, H, W): (Z, H, W) as it is, (X, Y, Z) with x to the right and y downwards."""
    return volume if dimensions == 2 else volume.transpose(2, 1, 0)


def fullest(truth: np.ndarray) -> int:
    """Return the number of the slice with most of the structures; the middle one where there are none.

    Args:
        truth: label maps, (N, H, W).
    """
    counts = np.count_nonzero(truth, axis=(1, 2))
    return int(counts.argmax()) if counts.any() else len(truth) // 2


def choose_cut(truth: np.ndarray) -> Cut:
    """Return a square around the structures of all slices; everything where there are none.

    Args:
        truth: label maps, (N, H, W).
    """
    mask = truth.any(axis=0)
    if not mask.any():
        return np.s_[:, :, :]
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    side = max([SMALLEST, *(round((np.ptp(span) + 1) * (1 + 2 * MARGIN)) for span in spans)])
    rows, columns = (
        window(int(span.min() + span.max()) // 2, side, size) for span, size in zip(spans, mask.shape, strict=True)
    )
    return slice(None), rows, columns


def window(center: int, side: int, size: int) -> slice:
    """Return `side` pixels around `center`, moved inside [0, size) and no longer than that."""
    side = min(side, size)
    start = min(max(center - side // 2, 0), size - side)
    return slice(start, start + side)


def choose_slices(truth: np.ndarray, step: int) -> range:
    """Return every `step`-th slice, the fullest one among them; of many, around the structures only.

    Args:
        truth: label maps, (N, H, W).
        step: at least 1.
    """
    first, last = 0, len(truth) - 1
    filled = np.flatnonzero(truth.any(axis=(1, 2)))
    if filled.size and len(truth) > MOST:
        margin = ceil((np.ptp(filled) + 1) * BEYOND)
        first, last = max(filled[0] - margin, first), min(filled[-1] + margin, last)
    return range(int(first + (fullest(truth) - first) % step), int(last) + 1, step)
