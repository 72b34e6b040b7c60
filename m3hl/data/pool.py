"""Where training images are kept, and how batches are made of them: the same batches from every place."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from m3hl.data.augment import View, seen_box
from m3hl.data.gather import gather, pack
from m3hl.data.placement import Place
from m3hl.data.samples import Samples


class Staged(NamedTuple):
    """What a batch is made of, still on the host.

    Attributes:
        packed: for `gather`.
        images, labels: values of the samples' parts that are seen, flat (images: channel by channel); None where
            the device holds all samples.
    """

    packed: Tensor
    images: Tensor | None = None
    labels: Tensor | None = None


class Pool:
    """The samples of one kind (labeled or unlabeled), in memory or in the store.

    Args:
        samples: which.
        place: where they are kept.
        device: where batches are made.
    """

    def __init__(self, samples: Samples, place: Place, device: torch.device) -> None:
        self.samples, self.place, self.device = samples, place, device
        self.starts = np.cumsum([0, *samples.voxels])
        self.images: Tensor | None = None
        self.labels: Tensor | None = None
        if place != "store":
            self.images, self.labels = flat(samples, device if place == "device" else torch.device("cpu"))
        self._readers = ThreadPoolExecutor(torch.get_num_threads())

    def __len__(self) -> int:
        return len(self.samples)

    def stage(self, indices: Sequence[int], views: Sequence[View]) -> Staged:
        """Do the host's part of `gather`: numbers alone, or also the voxels that are seen."""
        shapes = [self.samples.shapes[index] for index in indices]
        if self.place == "device":
            return self._pinned(Staged(pack(views, shapes, self.starts[list(indices)])))
        boxes = [seen_box(view, shape) for view, shape in zip(views, shapes, strict=True)]
        images = self._parts("image", indices, boxes)
        labels = self._parts("label", indices, boxes) if self.samples.labels else None
        starts = np.cumsum([0, *(part[0].size for part in images)])[:-1]
        moved = [view.moved([side.start for side in box]) for view, box in zip(views, boxes, strict=True)]
        packed = pack(moved, [part.shape[1:] for part in images], starts)
        axes = len(shapes[0])
        labels = None if labels is None else joined(labels, axes)
        return self._pinned(Staged(packed, joined(images, axes), labels))

    def gather(self, staged: Staged, crop: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """Return images (B, C, *crop) and labels (B, *crop, int64) on the device, without waiting for it."""
        packed, images, labels = (x if x is None else x.to(self.device, non_blocking=True) for x in staged)
        if images is None:
            images, labels = self.images, self.labels
        return gather(images, labels, packed, crop)

    def close(self) -> None:
        """Read no further."""
        self._readers.shutdown(cancel_futures=True)

    def _parts(self, key: str, indices: Sequence[int], boxes: Sequence[tuple[slice, ...]]) -> list[np.ndarray]:
        if self.place == "store":
            return list(self._readers.map(self.samples.read, indices, [key] * len(boxes), boxes))
        values = (self.images if key == "image" else self.labels).numpy()
        return [
            values[..., self.starts[index] : self.starts[index + 1]].reshape(
                *values.shape[:-1], *self.samples.shapes[index]
            )[(..., *box)]
            for index, box in zip(indices, boxes, strict=True)
        ]

    def _pinned(self, staged: Staged) -> Staged:
        """Return the tensors in memory from which a GPU copies while the host goes on."""
        if self.device.type == "cpu":
            return staged
        return Staged(*(x if x is None else x.pin_memory() for x in staged))


def flat(samples: Samples, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Return the values of all images (C, N) and label maps (N,), one sample after the other, on the device."""
    total, at = sum(samples.voxels), 0
    images = torch.empty((samples.channels, total), dtype=torch.float32, device=device)
    labels = torch.empty(total, dtype=torch.uint8, device=device) if samples.labels else None
    for image, label in samples.arrays():
        values = torch.from_numpy(image).reshape(samples.channels, -1)
        part = slice(at, at + values.shape[1])
        images[:, part] = values
        if labels is not None:
            labels[part] = torch.from_numpy(label).flatten()
        at = part.stop
    return images, labels


def joined(arrays: list[np.ndarray], axes: int) -> Tensor:
    """Return the arrays' values one after the other, their last `axes` axes as one."""
    flat_arrays = [array.reshape(*array.shape[:-axes], -1) for array in arrays]
    return torch.from_numpy(np.concatenate(flat_arrays, axis=-1))
