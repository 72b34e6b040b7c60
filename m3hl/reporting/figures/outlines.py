"""Outlines of label maps, to be drawn over images as vectors."""

import numpy as np
from skimage.measure import find_contours

TOLERANCE = 0.3
"""How far, in pixels, an exact outline may lie from the simplified one."""


def outline(labels: np.ndarray) -> str:
    """Return an SVG path around every structure of a label map (H, W); a pixel is one unit wide."""
    parts = []
    for value in np.unique(labels[labels > 0]):
        for ring in find_contours(np.pad(labels == value, 1).astype(float), 0.5):
            # find_contours counts from pixel centres, SVG from pixel corners; the padding adds one.
            points = simplify(ring, TOLERANCE)[:-1] - 0.5
            # Steps from point to point are short numbers, and exact: all are multiples of a half.
            start, *steps = (f"{x:g},{y:g}" for y, x in np.diff(points, axis=0, prepend=0))
            parts.append(f"M{start}l{' '.join(steps)}Z")
    return "".join(parts)


def simplify(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Return those points (N, 2) of a line from which no other one lies farther than `tolerance`.

    Douglas and Peucker's algorithm, with all pieces of a level at once: a page has thousands of outlines, and
    scikit-image's approximate_polygon takes five times as long.
    """
    kept = np.array([0, len(points) - 1])
    while True:
        lengths = np.diff(kept)
        pieces = np.repeat(np.arange(len(lengths)), lengths)
        distances = distances_to(points[:-1], points[kept[pieces]], points[kept[pieces + 1]])
        farthest = np.maximum.reduceat(distances, kept[:-1])[pieces]
        far = np.flatnonzero((distances == farthest) & (distances > tolerance))
        if not far.size:
            return points[kept]
        _, first = np.unique(pieces[far], return_index=True)
        kept = np.union1d(kept, far[first])


def distances_to(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return how far each point lies from its segment; all arrays are (N, 2)."""
    along, away = ends - starts, points - starts
    lengths = np.maximum((along**2).sum(1), 1e-12)
    nearest = np.clip((along * away).sum(1) / lengths, 0, 1)
    return np.linalg.norm(away - nearest[:, None] * along, axis=1)
