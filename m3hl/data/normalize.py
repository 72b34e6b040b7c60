"""Intensities of one volume, made comparable."""

import numpy as np


def minmax(image: np.ndarray) -> np.ndarray:
    """Return (x − min) / (max − min) over the volume, float32; a volume that spans [0, 1] stays bit for bit."""
    low, high = image.min(), image.max()
    # float64 between: integers cannot overflow, and its one rounding more does not reach float32.
    return ((image.astype(np.float64) - low) / (np.float64(high) - low)).astype(np.float32)


def zscore(image: np.ndarray) -> np.ndarray:
    """Return (x − mean) / standard deviation over the volume, float32."""
    values = image.astype(np.float64)
    values -= values.mean()
    # In place: a raw LA scan has 36 million voxels.
    values /= values.std()
    return values.astype(np.float32)


NORMALIZATIONS = {"minmax": minmax, "zscore": zscore}
