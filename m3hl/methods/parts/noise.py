"""Noise in images, drawn where they are: volumes have a million voxels each, and a host draws them slowly."""

from collections.abc import Sequence

import torch
from torch import Tensor


def noisy(images: Tensor, generator: torch.Generator, deviation: float, limit: float) -> Tensor:
    """Return x + clip(σ · z, ±limit) with z ~ N(0, 1) for each voxel; the sum is not clipped.

    Args:
        images: (B, C, *).
        generator: on the images' device.
        deviation: σ.
        limit: of the noise's absolute value.
    """
    return standard_normal(images, generator).mul_(deviation).clamp_(-limit, limit).add_(images)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return new numbers from 0 to 1 of the shape, type and device of `like`."""
    return torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return new normal numbers of the shape, type and device of `like`."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def unit(levels: Sequence[Tensor]) -> list[Tensor]:
    """Return features (B, …) of several levels, scaled so that each sample's all together have the length 1."""
    squares = torch.stack([level.flatten(1).square().sum(1) for level in levels])
    length = squares.sum(0).sqrt() + 1e-8
    return [level / length.view(-1, *[1] * (level.ndim - 1)) for level in levels]
