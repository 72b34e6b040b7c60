"""Two images or label maps mixed by a mask (M³HL's Eq. 2)."""

import torch
from torch import Tensor


def mix(inside: Tensor, outside: Tensor, mask: Tensor) -> Tensor:
    """Return inside · M + outside · (1 − M) (Eq. 2), for images (B, C, *) or label maps (B, *).

    A selection, not an arithmetic sum: label maps stay integers and images stay exact.
    """
    where = mask.bool()
    return torch.where(where.unsqueeze(1) if inside.ndim > mask.ndim else where, inside, outside)
