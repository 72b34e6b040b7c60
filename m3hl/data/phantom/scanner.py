"""What an MRI scanner adds to the anatomy: coil shading, blur, Rician noise."""

import numpy as np
from scipy import ndimage

from m3hl.data.phantom.shapes import smooth_noise


def shading(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> np.ndarray:
    """Return a smooth factor around 1: a linear ramp of random direction and a slow random field."""
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    direction = rng.standard_normal(len(shape))
    direction /= np.linalg.norm(direction)
    ramp = sum(d * g for d, g in zip(direction, grid, strict=True))
    slow = smooth_noise(rng, shape, tuple(n / 5 for n in shape))
    return np.exp(strength * (0.7 * ramp + 0.4 * slow))


def acquire(rng: np.random.Generator, image: np.ndarray, blur: tuple[float, ...], noise: float) -> np.ndarray:
    """Return the magnitude image of a scan: `blur` in voxels per axis, `noise` relative to intensity 1."""
    signal = ndimage.gaussian_filter(image, blur, mode="nearest")
    real = signal + noise * rng.standard_normal(image.shape)
    imaginary = noise * rng.standard_normal(image.shape)
    return np.hypot(real, imaginary)
