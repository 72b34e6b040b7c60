"""M³, the mutual mask mix (Sec. 2.2): random patch masks, and mixing by them (Eq. 2)."""

import numpy as np
import torch
from torch import Tensor

from m3hl.config.methods.m3hl import masked_cells


def draw_masks(
    rng: np.random.Generator, count: int, crop: tuple[int, ...], patch: tuple[int, ...], ratio: float
) -> Tensor:
    """Return `count` masks (count, *crop) of ones, each with ⌊ratio · cells⌋ random patches set to zero.

    Args:
        rng: source of the random choice; every set of cells of that size is equally likely.
        count: number of masks, drawn independently.
        crop: voxels of a mask along each axis.
        patch: voxels of a cell along each axis; divides `crop`.
        ratio: share of the cells that is masked.
    """
    grid = [n // p for n, p in zip(crop, patch, strict=True)]
    cells = int(np.prod(grid))
    order = rng.random((count, cells)).argsort(axis=1)
    mask = torch.from_numpy((order >= masked_cells(ratio, cells)).astype(np.float32)).view(count, *grid)
    for axis, p in enumerate(patch, start=1):
        mask = mask.repeat_interleave(p, dim=axis)
    return mask


def mix(inside: Tensor, outside: Tensor, mask: Tensor) -> Tensor:
    """Return inside · M + outside · (1 − M) (Eq. 2), for images (B, 1, *) or label maps (B, *).

    A selection, not an arithmetic sum: label maps stay integers and images stay exact.
    """
    where = mask.bool()
    return torch.where(where.unsqueeze(1) if inside.ndim > mask.ndim else where, inside, outside)
