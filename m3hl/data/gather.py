"""From images in memory to a batch: every voxel's place is computed on the device, for all samples at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from m3hl.data.augment import View


def pack(views: Sequence[View], shapes: Sequence[tuple[int, ...]], starts: Sequence[int]) -> Tensor:
    """Return all that `gather` must know of B samples, as one tensor (B, N) float64: one copy to a GPU.

    Args:
        views: how each sample is looked at.
        shapes: voxels of each image along its axes.
        starts: place of each image's first voxel in the flat images.
    """
    rows = [
        np.concatenate([view.matrix.ravel(), view.offset, shape, [start], *view.coordinates])
        for view, shape, start in zip(views, shapes, starts, strict=True)
    ]
    return torch.from_numpy(np.stack(rows))


def gather(
    images: Tensor, labels: Tensor | None, packed: Tensor, crop: tuple[int, ...]
) -> tuple[Tensor, Tensor | None]:
    """Return images (B, C, *crop) and labels (B, *crop, int64), or None without labels.

    Voxels outside an image are 0, in the label as in the image.

    Args:
        images: the values of all images, one after the other, float32 (C, N): a row for each channel.
        labels: those of their label maps, uint8.
        packed: from `pack`.
        crop: voxels of a sample along each axis.
    """
    # On a CPU one sample at a time, as its coordinates then stay in the cache.
    parts = [packed] if packed.is_cuda else packed.split(1)
    pairs = [addresses(part, crop) for part in parts]
    address, inside = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
    channels = [torch.where(inside, values[address], 0.0) for values in images]
    # Of one channel without a copy.
    chosen = torch.stack(channels, 1) if len(channels) > 1 else channels[0].unsqueeze(1)
    return chosen, None if labels is None else torch.where(inside, labels[address], 0).long()


def addresses(packed: Tensor, crop: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return each voxel's place in the flat images, and whether it lies in its image, both (B, *crop)."""
    dims, count = len(crop), len(packed)
    matrix, offset, shape, start, *axes = packed.split([4, 2, dims, 1, *crop], dim=1)
    height, width = shape[:, 0].view(-1, 1, 1), shape[:, 1].view(-1, 1, 1)
    rows, columns = axes[0].view(count, -1, 1), axes[1].view(count, 1, -1)
    matrix, offset = matrix.view(count, 2, 2, 1, 1), offset.view(count, 2, 1, 1)
    row, column = (offset[:, i] + matrix[:, i, 0] * rows + matrix[:, i, 1] * columns for i in (0, 1))
    inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
    address = nearest(row, height) * width.long() + nearest(column, width)
    if dims == 3:
        depth, along = shape[:, 2].view(-1, 1, 1, 1), axes[2].view(count, 1, 1, -1)
        inside = inside.unsqueeze(-1) & ((along >= 0) & (along <= depth - 1))
        address = address.unsqueeze(-1) * depth.long() + nearest(along, depth)
    return address + start.long().view(count, *[1] * dims), inside


def nearest(coordinate: Tensor, size: Tensor) -> Tensor:
    """Return the index of the voxel next to a coordinate, moved to the border from outside."""
    return (coordinate + 0.5).floor().clamp(min=0).minimum(size - 1).long()
