"""What a run trains on: slices in 2D, volumes in 3D, of some of a store's cases."""

from collections.abc import Iterator

import numpy as np

from m3hl.data.store import CaseInfo, Store

Box = tuple[slice, ...]


class Samples:
    """The samples of some cases; nothing is read before it is asked for.

    Args:
        store: the data set.
        cases: those that are used, in this order.
        labels: whether their label maps may be read.

    Attributes:
        shapes: voxels of each sample, (H, W) or (X, Y, Z).
        channels: images of each.
    """

    def __init__(self, store: Store, cases: list[CaseInfo], *, labels: bool) -> None:
        self.store, self.cases, self.labels = store, cases, labels
        self.channels = len(store.image_keys)
        if store.dimensions == 2:
            self._planes = [(case, z) for case in cases for z in range(case.shape[0])]
            self.shapes = [case.shape[1:] for case, _ in self._planes]
        else:
            self.shapes = [case.shape for case in cases]

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def voxels(self) -> list[int]:
        """Return the number of voxels of each sample."""
        return [int(np.prod(shape)) for shape in self.shapes]

    @property
    def size(self) -> int:
        """Return the bytes that all samples take in memory."""
        return sum(self.voxels) * (4 * self.channels + self.labels)

    def arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield image (float32) and label map (uint8; None if not to be read) of each case, for its samples."""
        for case in self.cases:
            yield self.store.image(case.name), self.store.label(case.name) if self.labels else None

    def read(self, index: int, key: str, box: Box) -> np.ndarray:
        """Return a part of the "image" (C, *) or the "label" (*) of one sample, read from the store."""
        if key == "image":
            return np.stack([self._part(index, one, box) for one in self.store.image_keys])
        return self._part(index, key, box)

    def _part(self, index: int, key: str, box: Box) -> np.ndarray:
        if self.store.dimensions == 2:
            case, z = self._planes[index]
            return self.store.planes(case.name, key, z, z + 1)[(0, *box)]
        rows, *others = box
        return self.store.planes(self.cases[index].name, key, rows.start, rows.stop)[(slice(None), *others)]
