"""A slice of a case as a PNG, and outlines to be drawn over it as vectors."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.measure import find_contours

MARGIN = 0.35
"""Share of the structures' extent that is shown around them."""
SMALLEST = 32
"""Least pixels of the cut-out along either axis."""


@dataclass(frozen=True)
class Cut:
    """A square cut-out of one slice of a volume.

    Attributes:
        index: slice number along the first axis (2D data sets) or the last one (3D).
        dimensions: 2 or 3, as in the store.
        rows, columns: the cut-out, in pixels of the slice as it is shown.
    """

    index: int
    dimensions: int
    rows: slice
    columns: slice

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Return the cut-out (H, W) of a volume."""
        return plane(volume, self.index, self.dimensions)[self.rows, self.columns]


def plane(volume: np.ndarray, index: int, dimensions: int) -> np.ndarray:
    """Return one slice (H, W): of (Z, H, W) as it is, of (X, Y, Z) with x to the right and y downwards."""
    return volume[index] if dimensions == 2 else volume[:, :, index].T


def choose_cut(truth: np.ndarray, dimensions: int) -> Cut:
    """Return a cut-out around the structures in the slice that has most of them.

    Args:
        truth: label map, (Z, H, W) or (X, Y, Z).
        dimensions: 2 or 3.
    """
    axes = (1, 2) if dimensions == 2 else (0, 1)
    index = int(np.count_nonzero(truth, axis=axes).argmax())
    mask = plane(truth, index, dimensions) > 0
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    side = max([SMALLEST, *(round(np.ptp(s) * (1 + 2 * MARGIN)) for s in spans if s.size)])
    rows, columns = (
        window(int(s.min() + s.max()) // 2 if s.size else n // 2, side, n)
        for s, n in zip(spans, mask.shape, strict=True)
    )
    return Cut(index, dimensions, rows, columns)


def window(center: int, side: int, size: int) -> slice:
    """Return `side` pixels around `center`, moved inside [0, size) and no longer than that."""
    side = min(side, size)
    start = min(max(center - side // 2, 0), size - side)
    return slice(start, start + side)


def png(image: np.ndarray) -> str:
    """Return a grey image (H, W) as a data URI, its 1st to 99th percentile from black to white."""
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    buffer = io.BytesIO()
    Image.fromarray((grey * 255).round().astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def outline(labels: np.ndarray) -> str:
    """Return an SVG path around every structure of a label map (H, W); a pixel is one unit wide."""
    parts = []
    for value in np.unique(labels[labels > 0]):
        for ring in find_contours(np.pad(labels == value, 1).astype(float), 0.5):
            # find_contours counts from pixel centres, SVG from pixel corners; the padding adds one.
            points = " ".join(f"{x - 0.5:g},{y - 0.5:g}" for y, x in ring[:-1])
            parts.append(f"M{points}Z")
    return "".join(parts)
