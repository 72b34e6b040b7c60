"""The largest component of each class on a CUDA device, by union-find in Triton; nothing waits for the host.

Each voxel has a parent of lower index, or is a root and its own parent. Indices run in C order over the batch, so
the root of a whole component is the voxel of it that C order meets first.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256
"""Voxels per program."""
CLASSES = tl.constexpr(256)
LAST_INDEX = tl.constexpr(2**31 - 1)


def largest_components(labels: Tensor) -> Tensor:
    """Keep, per sample and foreground class, only the largest connected component.

    A CUDA graph can capture it after a first call with labels of the same shape and type, which compiles it.

    Args:
        labels: (B, H, W) or (B, X, Y, Z) class indices below 256; fewer than 2³¹ voxels in all.

    Returns:
        Class indices of the same shape, type and device; removed voxels are background.
    """
    depth, height, width = (1, *labels.shape[1:])[-3:]
    total, per_sample = labels.numel(), depth * height * width
    classes = labels.to(torch.uint8).contiguous()
    parents = torch.empty(total, dtype=torch.int32, device=labels.device)
    roots = torch.empty_like(parents)
    sizes = torch.zeros_like(parents)
    best = torch.zeros((len(labels), CLASSES.value), dtype=torch.int64, device=labels.device)
    kept = torch.empty_like(labels, memory_format=torch.contiguous_format)

    def launch(kernel: Any, *arguments: Tensor | int) -> None:
        kernel[(triton.cdiv(total, BLOCK),)](classes, *arguments, total, BLOCK=BLOCK)

    with torch.cuda.device_of(labels):
        launch(_make_runs, parents, width)
        # First within planes, then between them: made flat in between, the trees stay low.
        for first, last in ((3, 4),) if depth == 1 else ((3, 4), (0, 3)):
            launch(_link_rows, parents, depth, height, width, first, last)
            launch(_flatten, parents, roots)
            parents, roots = roots, parents
        launch(_count, parents, sizes)
        launch(_elect, parents, sizes, best, per_sample)
        launch(_keep, parents, best, kept, per_sample)
    return kept


@triton.jit
def _make_runs(classes: tl.tensor, parents: tl.tensor, width: int, total: int, BLOCK: tl.constexpr) -> None:
    """Make the first voxel of each run along the last axis the parent of the run; no run leaves its block."""
    lane = tl.arange(0, BLOCK)
    i = tl.program_id(0) * BLOCK + lane
    own = tl.load(classes + i, mask=i < total, other=0)
    goes_on = _has(classes, i - 1, own, (own > 0) & (lane > 0) & (i % width > 0))
    tl.store(parents + i, tl.associative_scan(tl.where(goes_on, 0, i), 0, _higher), mask=i < total)


@triton.jit
def _link_rows(
    classes: tl.tensor,
    parents: tl.tensor,
    depth: int,
    height: int,
    width: int,
    FIRST: tl.constexpr,
    LAST: tl.constexpr,
    total: int,
    BLOCK: tl.constexpr,
) -> None:
    """Unite each voxel with its neighbours of the same class in the rows FIRST to LAST of the four before its own.

    Two runs need one link: left out are those to neighbours of the voxel before, or of the middle neighbour.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z, y, x = i % width, i // width % height, i // width // height % depth
    own = tl.load(classes + i, mask=i < total, other=0)
    before = _has(classes, i - 1, own, (own > 0) & (z > 0))
    _unite(parents, i, i - 1, before & (i % BLOCK == 0))
    for row in tl.static_range(FIRST, LAST):
        dx = row // 3 - 1
        dy = row % 3 - 1
        there = (own > 0) & (x + dx >= 0) & (y + dy >= 0) & (y + dy < height)
        middle = i + (dx * height + dy) * width
        at_left = _has(classes, middle - 1, own, there & (z > 0))
        at_middle = _has(classes, middle, own, there)
        at_right = _has(classes, middle + 1, own, there & (z < width - 1))
        _unite(parents, i, tl.where(at_middle, middle, middle - 1), (at_middle | at_left) & ~before)
        _unite(parents, i, middle + 1, at_right & ~at_middle)


@triton.jit
def _has(classes: tl.tensor, voxel: tl.tensor, own: tl.tensor, there: tl.tensor) -> tl.tensor:
    """Return which voxels are of the own class, of those that are there."""
    return there & (tl.load(classes + voxel, mask=there, other=0) == own)


@triton.jit
def _unite(parents: tl.tensor, a: tl.tensor, b: tl.tensor, active: tl.tensor) -> None:
    """Put the trees of voxels a and b together."""
    # Many do so at once. All access is atomic (in PTX a volatile load is a relaxed one), and parents only fall.
    # Whoever takes a voxel from its parent goes on to unite that parent with the new one. So whatever was linked
    # at any time is in one tree in the end, and a walk along parents that are out of date ends as well.
    a = _find(parents, a, active)
    b = _find(parents, b, active)
    active &= a != b
    while tl.max(active.to(tl.int32), 0) > 0:
        high = tl.maximum(a, b)
        low = tl.minimum(a, b)
        a = tl.atomic_min(parents + high, low, mask=active, sem="relaxed")
        b = low
        active &= (a != high) & (a != low)


@triton.jit
def _find(parents: tl.tensor, node: tl.tensor, active: tl.tensor) -> tl.tensor:
    """Return the root above each active voxel."""
    parent = tl.load(parents + node, mask=active, other=0, volatile=True)
    active &= parent != node
    while tl.max(active.to(tl.int32), 0) > 0:
        node = tl.where(active, parent, node)
        parent = tl.load(parents + node, mask=active, other=0, volatile=True)
        active &= parent != node
    return node


@triton.jit
def _flatten(classes: tl.tensor, parents: tl.tensor, roots: tl.tensor, total: int, BLOCK: tl.constexpr) -> None:
    """Find the root of each foreground voxel."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    foreground = tl.load(classes + i, mask=i < total, other=0) > 0
    tl.store(roots + i, _find(parents, i, foreground), mask=foreground)


@triton.jit
def _count(classes: tl.tensor, roots: tl.tensor, sizes: tl.tensor, total: int, BLOCK: tl.constexpr) -> None:
    """Count the voxels of each root."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    foreground = tl.load(classes + i, mask=i < total, other=0) > 0
    root = tl.load(roots + i, mask=foreground, other=LAST_INDEX)
    # A block adds up its lowest root, most often that of the big component: else all voxels queue for one number.
    lowest = tl.min(root, 0)
    of_lowest = foreground & (root == lowest)
    tl.atomic_add(sizes + lowest, tl.sum(of_lowest.to(tl.int32), 0), mask=lowest < total, sem="relaxed")
    tl.atomic_add(sizes + root, 1, mask=foreground & ~of_lowest, sem="relaxed")


@triton.jit
def _elect(
    classes: tl.tensor,
    roots: tl.tensor,
    sizes: tl.tensor,
    best: tl.tensor,
    per_sample: int,
    total: int,
    BLOCK: tl.constexpr,
) -> None:
    """Find the root of most voxels per sample and class: the highest key; of a tie the lower index's."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    own = tl.load(classes + i, mask=i < total, other=0)
    is_root = (own > 0) & (tl.load(roots + i, mask=own > 0, other=0) == i)
    size = tl.load(sizes + i, mask=is_root, other=0).to(tl.int64)
    key = (size << 31) | (LAST_INDEX - i)
    tl.atomic_max(best + (i // per_sample * CLASSES + own), key, mask=is_root, sem="relaxed")


@triton.jit
def _keep(
    classes: tl.tensor,
    roots: tl.tensor,
    best: tl.tensor,
    kept: tl.tensor,
    per_sample: int,
    total: int,
    BLOCK: tl.constexpr,
) -> None:
    """Keep the class of the voxels below the elected roots."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    own = tl.load(classes + i, mask=i < total, other=0)
    root = tl.load(roots + i, mask=own > 0, other=0)
    key = tl.load(best + (i // per_sample * CLASSES + own), mask=own > 0, other=0)
    elected = LAST_INDEX - (key & LAST_INDEX)
    tl.store(kept + i, tl.where(root == elected, own, 0), mask=i < total)


@triton.jit
def _higher(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return tl.maximum(a, b)
