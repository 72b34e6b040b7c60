"""Augmentation and cropping as one affine map per sample, applied with one nearest-neighbour gather.

An output voxel o comes from the source voxel floor(A · z(o) + b + ½), where (A, b) turns, flips or rotates the
plane of the first two axes. In 2D, z resizes the crop to the slice's own size; in 3D, it shifts the crop into the
volume. The choices are drawn on the host, from a generator that belongs to one iteration; the voxels are computed
on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

MAX_ANGLE = 20.0
"""Degrees of the largest rotation of a slice."""


@dataclass(frozen=True)
class View:
    """One way to look at an image.

    Attributes:
        matrix: A, (2, 2).
        offset: b, (2,) voxels.
        coordinates: z, the augmented image's coordinate of each output index, one array per axis.
    """

    matrix: np.ndarray
    offset: np.ndarray
    coordinates: tuple[np.ndarray, ...]

    def moved(self, corner: Sequence[int]) -> Self:
        """Return the view of what is left of the image when it begins at `corner`."""
        along = tuple(z - n for z, n in zip(self.coordinates[2:], corner[2:], strict=True))
        return replace(self, offset=self.offset - corner[:2], coordinates=(*self.coordinates[:2], *along))


def slice_view(rng: np.random.Generator, shape: tuple[int, int], crop: tuple[int, int]) -> View:
    """Draw the view of a training slice (H, W), resized to `crop`.

    Half of the time a quarter turn and a flip; else, half of the time, a rotation within ±20°; else as it is.
    """
    if rng.random() < 0.5:
        matrix, offset, turned = turn_and_flip(rng, shape)
    elif rng.random() < 0.5:
        matrix, offset, turned = *rotation(rng.uniform(-MAX_ANGLE, MAX_ANGLE), shape), shape
    else:
        matrix, offset, turned = np.eye(2), np.zeros(2), shape
    coordinates = tuple(nearest_index(n, out).astype(float) for n, out in zip(turned, crop, strict=True))
    return View(matrix, offset, coordinates)


def volume_view(rng: np.random.Generator, shape: tuple[int, int, int], crop: tuple[int, int, int]) -> View:
    """Draw the view of a training volume (X, Y, Z): turn and flip in x-y, then a random crop.

    An axis shorter than the crop is centred, and zeros surround it.
    """
    matrix, offset, turned = turn_and_flip(rng, shape[:2])
    starts = [
        rng.integers(n - out + 1) if n >= out else -((out - n) // 2)
        for n, out in zip((*turned, shape[2]), crop, strict=True)
    ]
    return View(
        matrix, offset, tuple(s + np.arange(out, dtype=float) for s, out in zip(starts, crop, strict=True))
    )


def central_view(shape: tuple[int, ...], crop: tuple[int, ...]) -> View:
    """Return the view of a slice (H, W) resized to `crop`, or of the middle of a volume (X, Y, Z)."""
    if len(crop) == 2:
        coordinates = [nearest_index(n, out).astype(float) for n, out in zip(shape, crop, strict=True)]
    else:
        coordinates = [
            int((n - out) / 2) + np.arange(out, dtype=float) for n, out in zip(shape, crop, strict=True)
        ]
    return View(np.eye(2), np.zeros(2), tuple(coordinates))


def seen_box(view: View, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of an image of `shape` that a view may show, at least one voxel; of a slice the whole.

    A slice may be rotated, and what is left of it would then have other coordinates in their last bits.
    """
    if len(shape) == 2:
        return tuple(slice(0, n) for n in shape)
    rows, columns, *along = ((z.min(), z.max()) for z in view.coordinates)
    corners = np.array([view.matrix @ (r, c) + view.offset for r in rows for c in columns])
    ranges = [*zip(corners.min(0), corners.max(0), strict=True), *along]
    box = []
    for (first, last), n in zip(ranges, shape, strict=True):
        start = int(np.clip(first, 0, n - 1))
        box.append(slice(start, int(np.clip(last, start, n - 1)) + 1))
    return tuple(box)


def turn_and_flip(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Draw k quarter turns (as `numpy.rot90`) and a flip of one axis.

    Returns:
        The map from the turned and flipped plane back to the plane of `shape`, and the turned shape.
    """
    quarters, axis = rng.integers(4), rng.integers(2)
    matrix, offset, turned = np.eye(2), np.zeros(2), shape
    for _ in range(quarters):
        # numpy.rot90: out[r, c] = in[c, W - 1 - r], for an input of width W.
        step, shift = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([0.0, turned[1] - 1])
        matrix, offset, turned = matrix @ step, matrix @ shift + offset, turned[::-1]
    flip, shift = np.eye(2), np.zeros(2)
    flip[axis, axis], shift[axis] = -1.0, turned[axis] - 1
    return matrix @ flip, matrix @ shift + offset, turned


def rotation(degrees: float, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the map of `scipy.ndimage.rotate(image, degrees, reshape=False)` for a plane of `shape`."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.array([[cos, sin], [-sin, cos]])
    center = (np.array(shape) - 1) / 2
    return matrix, center - matrix @ center


def nearest_index(n_in: int, n_out: int) -> np.ndarray:
    """Return the source index of each output index when `scipy.ndimage.zoom(order=0)` resizes an axis."""
    scale = (n_in - 1) / (n_out - 1) if n_out > 1 else 0.0
    return np.floor(np.arange(n_out) * scale + 0.5).astype(np.int64)
