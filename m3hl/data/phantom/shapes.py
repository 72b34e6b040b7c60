"""Soft shapes: signed distances of ellipses and tubes, and how they are painted. Lengths in mm."""

import numpy as np
from scipy import ndimage


def coordinates(shape: tuple[int, ...], spacing: tuple[float, ...]) -> list[np.ndarray]:
    """Return each axis's position in mm, zero in the middle of the grid, in arrays that broadcast."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij"))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, ...] | float) -> np.ndarray:
    """Return Gaussian noise of standard deviation 1 that is correlated over `sigma` voxels."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="reflect")
    return noise / noise.std()


def turned(u: np.ndarray, v: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates along axes that are turned by `angle` radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * u + sin * v, cos * v - sin * u


def ellipsoid(points: list[np.ndarray], center: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Return the approximate signed distance in mm to an ellipse or ellipsoid; negative inside."""
    scaled = [(p - c) / r for p, c, r in zip(points, center, radii, strict=True)]
    norm = np.sqrt(sum(s**2 for s in scaled))
    # Divided by the gradient, so that the distance is right near the surface of a flat ellipsoid too.
    gradient = np.sqrt(sum((s / r) ** 2 for s, r in zip(scaled, radii, strict=True)))
    # In the very middle both vanish and the largest radius is left.
    tiny = 1e-9
    return (norm - 1) * np.maximum(norm, tiny) / np.maximum(gradient, tiny / max(radii))


def tube(
    points: list[np.ndarray], start: np.ndarray, end: np.ndarray, radii: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the signed distance in mm to a rounded tube, and the position along it, 0 at `start`, 1 at `end`.

    Args:
        points: coordinates.
        start, end: ends of the axis, mm.
        radii: radius at either end, mm; linear between.
    """
    axis = end - start
    along = sum((p - s) * a for p, s, a in zip(points, start, axis, strict=True)) / (axis @ axis)
    near = np.clip(along, 0, 1)
    distance = np.sqrt(sum((p - s - near * a) ** 2 for p, s, a in zip(points, start, axis, strict=True)))
    return distance - (radii[0] + near * (radii[1] - radii[0])), along


def paint(image: np.ndarray, distance: np.ndarray, value: float | np.ndarray, edge: float) -> np.ndarray:
    """Return `image` with a shape of intensity `value` over it; its border is `edge` mm wide."""
    share = np.clip(0.5 - distance / edge, 0, 1)
    return image + share * (value - image)
