"""M³, the mutual mask mix (Sec. 2.2): random patch masks, and mixing by them (Eq. 2)."""

import numpy as np
import torch
from torch import Tensor

from m3hl.config.methods.m3hl import masked_cells


def draw_masks(
    rng: np.random.Generator,
    count: int,
    crop: tuple[int, ...],
    patch: tuple[int, ...],
    ratio: float,
    device: torch.device,
) -> Tensor:
    """Return `count` masks (count, *crop) of ones, each with ⌊ratio · cells⌋ random patches set to zero.

    Args:
        rng: source of the random choice; every set of cells of that size is equally likely.
        count: number of masks, drawn independently.
        crop: voxels of a mask along each axis.
        patch: voxels of a cell along each axis; divides `crop`.
        ratio: share of the cells that is masked.
        device: where the masks are wanted; it gets the cells, and is not waited for.
    """
    grid = [n // p for n, p in zip(crop, patch, strict=True)]
    cells = int(np.prod(grid))
    order = rng.random((count, cells)).argsort(axis=1)
    mask = torch.from_numpy((order >= masked_cells(ratio, cells)).astype(np.float32))
    if device.type == "cuda":
        mask = mask.pin_memory().to(device, non_blocking=True)
    # Every cell becomes a patch: (count, X, 1, Y, 1) to (count, X, p, Y, p), and that to (count, X · p, Y · p).
    shape, repeated = [count], [count]
    for n, p in zip(grid, patch, strict=True):
        shape, repeated = [*shape, n, 1], [*repeated, n, p]
    return mask.view(shape).expand(repeated).reshape(count, *crop)


def mix(inside: Tensor, outside: Tensor, mask: Tensor) -> Tensor:
    """Return inside · M + outside · (1 − M) (Eq. 2), for images (B, C, *) or label maps (B, *).

    A selection, not an arithmetic sum: label maps stay integers and images stay exact.
    """
    where = mask.bool()
    return torch.where(where.unsqueeze(1) if inside.ndim > mask.ndim else where, inside, outside)
