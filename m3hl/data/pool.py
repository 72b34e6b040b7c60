"""Training images in memory: one flat array, from which batches are gathered."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from m3hl.data.augment import View


class Pool:
    """Images of different sizes, one after the other in one flat tensor on the device.

    Args:
        images: N arrays (H, W) or (X, Y, Z), float32.
        labels: as many uint8 arrays of the same shapes, or None where the labels are not to be seen.
        device: where the images are kept and batches are made.
    """

    def __init__(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray] | None, device: torch.device
    ) -> None:
        self.device = device
        self.shapes = [image.shape for image in images]
        self.starts = np.cumsum([0, *(image.size for image in images)])
        self.images = flat(images).to(device)
        self.labels = None if labels is None else flat(labels).to(device)

    def __len__(self) -> int:
        return len(self.shapes)

    def gather(self, indices: Sequence[int], views: Sequence[View]) -> tuple[Tensor, Tensor | None]:
        """Return the images (B, 1, *crop) and labels (B, *crop, int64) of `indices` as `views` show them.

        Voxels outside an image are 0, in the label as in the image.
        """
        where, inside = zip(*(self._address(i, v) for i, v in zip(indices, views, strict=True)), strict=True)
        address, known = torch.stack(where), torch.stack(inside)
        images = torch.where(known, self.images[address], 0.0).unsqueeze(1)
        labels = None if self.labels is None else torch.where(known, self.labels[address], 0).long()
        return images, labels

    def _address(self, index: int, view: View) -> tuple[Tensor, Tensor]:
        """Return for each voxel of the crop its place in the flat tensor, and whether it lies in the image."""
        shape = self.shapes[index]
        axes = [torch.from_numpy(c).to(self.device) for c in view.coordinates]
        dims = len(shape)
        at, inside = torch.zeros((), dtype=torch.int64, device=self.device), None
        for row in range(dims):
            source = view.offset[row]
            for column in np.flatnonzero(view.matrix[row]):
                position = [1] * dims
                position[column] = -1
                source = source + view.matrix[row, column] * axes[column].view(position)
            ok = (source >= 0) & (source <= shape[row] - 1)
            nearest = (source + 0.5).floor().long().clamp_(0, shape[row] - 1)
            at = at * shape[row] + nearest
            inside = ok if inside is None else inside & ok
        crop = [len(c) for c in view.coordinates]
        return (at + int(self.starts[index])).expand(crop), inside.expand(crop)


def flat(arrays: Sequence[np.ndarray]) -> Tensor:
    """Return the arrays' values one after the other."""
    return torch.from_numpy(np.concatenate([array.ravel() for array in arrays])) if arrays else torch.empty(0)
