"""CutMix of a batch with itself, as AD-MT and PS-MT do it: in a box each sample takes another sample's values."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from m3hl.methods.parts.boxes import box_masks
from m3hl.methods.parts.mix import mix


class CutMix(NamedTuple):
    """Which voxels come from which other sample; it mixes images, labels and logits alike.

    Attributes:
        permutation: (B,), the other sample of each.
        mask: (B, *), true inside each sample's box.
    """

    permutation: Tensor
    mask: Tensor

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, crop: tuple[int, ...], device: torch.device) -> Self:
        """Draw a permutation of `count` samples, which may leave some where they are, and a box of each.

        The boxes' share λ ~ Beta(4, 4) is one for the batch; a centre is at least an eighth of each axis from its
        beginning.
        """
        permutation = torch.from_numpy(rng.permutation(count))
        share = rng.beta(4, 4)
        centers = rng.integers([n // 8 for n in crop], crop, (count, len(crop)))
        masks = box_masks(centered_boxes(share, centers, crop), crop, device)
        if device.type == "cuda":
            permutation = permutation.pin_memory().to(device, non_blocking=True)
        return cls(permutation, masks)

    def __call__(self, values: Tensor) -> Tensor:
        """Return (B, *) or (B, C, *) with the values of each sample's other sample, unmixed, inside its box."""
        return mix(values[self.permutation], values, self.mask)


def centered_boxes(share: float, centers: np.ndarray, crop: Sequence[int]) -> np.ndarray:
    """Return boxes (B, 2, axes), first corners and those behind the last voxel, cut off at the crop's border.

    A side has ⌊n √(1 − λ)⌋ voxels of an axis of n before it is cut off, in 3D too.

    Args:
        share: λ.
        centers: (B, axes).
        crop: n of each axis.
    """
    half = np.floor(np.array(crop) * np.sqrt(1 - share)).astype(int) // 2
    return np.stack([centers - half, centers + half], axis=1).clip(0, crop)
