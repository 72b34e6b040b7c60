"""Random boxes, as French et al. and as BCP draw them, and the masks that they make."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Uniform(Protocol):
    """A source of uniform random numbers: either kind of numpy's generators."""

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> np.ndarray:
        """Return numbers from `low` to `high`."""


def draw_boxes(rng: Uniform, count: int, crop: tuple[int, ...], share: float) -> np.ndarray:
    """Return boxes (count, 2, axes) that lie inside the crop: first corner, and the corner behind the last voxel.

    2D: height share h = π^U, width share w = π / h. 3D: s_x = π^U₁, s_y = (π / s_x)^U₂, s_z = π / (s_x s_y). So
    each side takes between π and all of its axis, and axes are not alike in 3D: the first is the shortest on
    average. Sides are rounded half to even, as numpy does, and so are corners.

    Args:
        rng: source of the random choices.
        count: boxes, drawn independently.
        crop: voxels along each axis.
        share: π, of the crop's area or volume; a box has it but for the rounding of its sides.
    """
    # All boxes' numbers of one kind follow each other: shares (though constant), sides, corners.
    left = rng.uniform(share, share, (count, 1))
    shares = []
    for _ in crop[:-1]:
        shares.append(left ** rng.uniform(0, 1, (count, 1)))
        left = left / shares[-1]
    sides = np.round(np.concatenate([*shares, left], axis=1) * crop)
    first = np.round((np.array(crop) - sides) * rng.uniform(0, 1, (count, 1, len(crop)))[:, 0])
    return np.stack([first, first + sides], axis=1).astype(np.int64)


def draw_pasted_box(rng: np.random.Generator, crop: tuple[int, ...]) -> np.ndarray:
    """Return the one box (1, 2, axes) of a step of copy-paste: of each axis ⌊2n/3⌋ voxels.

    Each first corner from 0 to n − ⌊2n/3⌋ − 1 is equally likely: the last voxel of an axis is never in a box.
    """
    sides = 2 * np.array(crop) // 3
    first = rng.integers(0, np.array(crop) - sides)
    return np.stack([first, first + sides])[None]


def box_masks(boxes: np.ndarray, crop: tuple[int, ...], device: torch.device) -> Tensor:
    """Return masks (count, *crop), true inside each box; the device gets the corners, and is not waited for.

    Args:
        boxes: (count, 2, axes), as `draw_boxes` gives them.
        crop: voxels of a mask along each axis.
        device: where the masks are wanted.
    """
    corners = torch.from_numpy(boxes)
    if device.type == "cuda":
        corners = corners.pin_memory().to(device, non_blocking=True)
    masks = torch.ones((len(boxes), *[1] * len(crop)), dtype=torch.bool, device=device)
    for axis, length in enumerate(crop):
        place = torch.arange(length, device=device)
        first, end = corners[:, 0, axis, None], corners[:, 1, axis, None]
        shape = [len(boxes), *[1] * len(crop)]
        shape[1 + axis] = length
        masks = masks & ((place >= first) & (place < end)).view(shape)
    return masks
