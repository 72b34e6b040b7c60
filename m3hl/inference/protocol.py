"""Applying a network to whole volumes: slice by slice in 2D, by sliding windows in 3D."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from m3hl.config.run import check_stride
from m3hl.data.augment import nearest_index
from m3hl.inference.components import largest_components

BATCH = {2: 32, 3: 4}
"""Slices or windows that pass the network together, by dimension."""


@dataclass(frozen=True)
class Protocol:
    """How a volume is segmented.

    Attributes:
        crop: voxels that the network sees, (H, W) or (X, Y, Z).
        stride: voxels between sliding windows in 3D, None in 2D.
        largest_component: keep only the largest component of each class of the result.
        shrink: voxels along each axis that became one in the volumes; None: they are as they were, or resampled.

    Raises:
        UserError: the stride does not fit the crop.
    """

    crop: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    largest_component: bool = False
    shrink: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_stride(self.stride, self.crop)

    @torch.inference_mode()
    def segment(
        self, network: nn.Module, volumes: Sequence[Tensor], shapes: Sequence[tuple[int, ...]] | None = None
    ) -> list[Tensor]:
        """Return the label maps (uint8) of volumes (Z, H, W) or (X, Y, Z), on their device.

        Where cases have several images, an axis of channels comes first.

        Args:
            network: in evaluation mode.
            volumes: as the network was trained on them.
            shapes: of the label maps, where volumes are shrunk or resampled; None: those of the volumes.
        """
        if self.stride is None:
            maps = segment_slices(network, volumes, self.crop)
        else:
            shapes = shapes or [volume.shape[-3:] for volume in volumes]
            scores = (slide(network, volume, self.crop, self.stride) for volume in volumes)
            maps = [decide(enlarge(p, self.shrink, shape)) for p, shape in zip(scores, shapes, strict=True)]
        labels = [one.to(torch.uint8) for one in maps]
        return [largest_components(one[None])[0] for one in labels] if self.largest_component else labels

    @torch.inference_mode()
    def probabilities(self, network: nn.Module, volume: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the class probabilities (C, Z, H, W) or (C, X, Y, Z) of a volume.

        Args:
            network: in evaluation mode.
            volume: as the network was trained on such.
            shape: of the result, where the volume is shrunk or resampled.
        """
        if self.stride is not None:
            return enlarge(slide(network, volume, self.crop, self.stride), self.shrink, shape)
        slices = resized_slices([volume], self.crop)
        scores = torch.cat([network(part).logits.softmax(1) for part in slices.split(BATCH[2])])
        return torch.stack([resize_nearest(score, tuple(volume.shape[-2:])) for score in scores.transpose(0, 1)])

    def decided(self, probability: Tensor) -> Tensor:
        """Return the label map (uint8) of class probabilities as `probabilities` gives them."""
        label = (probability.argmax(0) if self.stride is None else decide(probability)).to(torch.uint8)
        return largest_components(label[None])[0] if self.largest_component else label


def segment_slices(network: nn.Module, volumes: Sequence[Tensor], size: tuple[int, ...]) -> list[Tensor]:
    """Segment the slices of volumes (Z, H, W) or (C, Z, H, W): resized to `size` and back by nearest neighbour."""
    resized = resized_slices(volumes, size)
    labels = torch.cat([network(part).logits.argmax(1) for part in resized.split(BATCH[2])])
    parts = labels.split([volume.shape[-3] for volume in volumes])
    return [resize_nearest(part, tuple(volume.shape[-2:])) for part, volume in zip(parts, volumes, strict=True)]


def resized_slices(volumes: Sequence[Tensor], size: tuple[int, ...]) -> Tensor:
    """Return all slices of volumes (Z, H, W) or (C, Z, H, W), resized, as (N, C, *size)."""
    channels = zip(*map(with_channels, volumes), strict=True)
    return torch.stack([torch.cat([resize_nearest(one, size) for one in channel]) for channel in channels], 1)


def with_channels(volume: Tensor) -> Tensor:
    """Return a volume with an axis of channels, also where it has one image only."""
    return volume if volume.ndim > 3 else volume[None]


def resize_nearest(slices: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize slices (Z, H, W) to `size` as `scipy.ndimage.zoom(order=0)` does."""
    rows, columns = (
        torch.from_numpy(nearest_index(n, m)).to(slices.device)
        for n, m in zip(slices.shape[1:], size, strict=True)
    )
    return slices[:, rows][:, :, columns]


def slide(network: nn.Module, volume: Tensor, window: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Return the class probabilities (C, X, Y, Z) of a volume (X, Y, Z), averaged over overlapping windows.

    Where there are several images, the volume has an axis of channels before the others.

    Windows start at multiples of `stride`, and the last is moved back inside. An axis shorter than the window
    is padded with zeros on both sides, the smaller half first, and cropped again.
    """
    shape, volume = volume.shape[-3:], with_channels(volume)
    missing = [max(w - n, 0) for n, w in zip(shape, window, strict=True)]
    before = [m // 2 for m in missing]
    padding = [p for m, b in zip(missing[::-1], before[::-1], strict=True) for p in (b, m - b)]
    padded = torch.nn.functional.pad(volume, padding)
    total: Tensor | None = None
    count = torch.zeros(padded.shape[1:], device=volume.device)
    for places in batched(list(window_slices(padded.shape[1:], window, stride)), BATCH[3]):
        crops = torch.stack([padded[(slice(None), *place)] for place in places])
        for place, probability in zip(places, network(crops).logits.softmax(1), strict=True):
            if total is None:
                total = torch.zeros((len(probability), *padded.shape[1:]), device=volume.device)
            total[(slice(None), *place)] += probability
            count[place] += 1
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    return (total / count)[(slice(None), *inside)]


def window_slices(
    shape: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...]
) -> Iterator[tuple[slice, ...]]:
    """Yield the place of every window in a volume that is at least as large as a window."""
    starts = [
        [min(s * i, n - w) for i in range(-(-(n - w) // s) + 1)]
        for n, w, s in zip(shape, window, stride, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))


def enlarge(probability: Tensor, factors: tuple[int, ...] | None, shape: tuple[int, ...]) -> Tensor:
    """Return class probabilities (C, X, Y, Z) on the grid of `shape` that was shrunk, linear in between.

    Without factors the volume was resampled, its extent as it was (see `m3hl.data.resample`).
    """
    if factors is None:
        if probability.shape[1:] == tuple(shape):
            return probability
        return torch.nn.functional.interpolate(probability[None], size=tuple(shape), mode="trilinear")[0]
    scale = [float(factor) for factor in factors]
    large = torch.nn.functional.interpolate(probability[None], scale_factor=scale, mode="trilinear")[0]
    return large[(slice(None), *(slice(n) for n in shape))]


def decide(probability: Tensor) -> Tensor:
    """Return the class (X, Y, Z) of probabilities (C, X, Y, Z): p > 0.5 if binary, else the arg max."""
    return probability[1] > 0.5 if len(probability) == 2 else probability.argmax(0)


def batched(items: list[tuple[slice, ...]], size: int) -> Iterator[list[tuple[slice, ...]]]:
    """Yield consecutive parts of `items` of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
