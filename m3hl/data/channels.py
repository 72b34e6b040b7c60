"""Several images of one case (T1, T2, FLAIR) on one grid, as channels; a case with one image has no such axis."""

from collections.abc import Callable

import numpy as np


def names(count: int) -> tuple[str, ...]:
    """Return what the images of a case are called in lists, stores and weights; one image has no name.

    >>> names(2)
    ('image_1', 'image_2')
    """
    return tuple(f"image_{number}" for number in range(1, count + 1)) if count > 1 else ()


def together(images: list[np.ndarray]) -> np.ndarray:
    """Return the images of a case as channels (C, *), or the only one as it is."""
    return np.stack(images) if len(images) > 1 else images[0]


def apart(image: np.ndarray) -> list[np.ndarray]:
    """Return the channels of an image (C, *) of three axes each, or the only one."""
    return list(image) if image.ndim > 3 else [image]


def each(change: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    """Return an image each of whose channels was changed on its own."""
    return together([change(channel) for channel in apart(image)])
