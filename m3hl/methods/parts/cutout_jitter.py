"""The strong view of a slice, made of its weak one (ABD): other brightness and contrast, and noise in a box."""

from dataclasses import replace
from math import sqrt
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from m3hl.data.batches import Batch
from m3hl.methods.parts.boxes import box_masks

CUTOUT_PROBABILITY = 0.5
CUTOUT_SHARE, CUTOUT_RATIO = (0.02, 0.4), (0.3, 1 / 0.3)
"""Ranges of a box's share of the image, and of its height by its width."""
JITTER = (0.2, 1.8)
"""Range of the factors of brightness and of contrast."""


class Random(Protocol):
    """A source of random numbers, as numpy's generators."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""

    def integers(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high` − 1."""


def strong_view(batch: Batch) -> Batch:
    """Return the strong view of a batch of slices with values from 0 to 1; noise is labeled as background."""
    images, labeled = torch.cat([batch.labeled_images, batch.unlabeled_images]), len(batch.labels)
    cut = cutout_masks(batch.rng, len(images), tuple(images.shape[2:]), images.device)
    generator = batch.generator()
    noise = torch.randint(0, 2, images.shape, generator=generator, device=images.device).to(images.dtype)
    images = torch.where(cut[:, None], noise, images)
    brightness, contrast = random_factors(len(images), generator), random_factors(len(images), generator)
    first = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    images = jittered(images, brightness, contrast, first)
    labels = batch.labels.masked_fill(cut[:labeled], 0)
    return replace(batch, labeled_images=images[:labeled], labels=labels, unlabeled_images=images[labeled:])


def cutout_masks(rng: np.random.Generator, count: int, crop: tuple[int, int], device: torch.device) -> Tensor:
    """Return masks (count, H, W), true where an image is cut out: in a box, or nowhere."""
    boxes = np.zeros((count, 2, 2), np.int64)
    for box in boxes:
        if rng.random() < CUTOUT_PROBABILITY:
            box[:] = draw_cutout(rng, crop)
    return box_masks(boxes, crop, device)


def draw_cutout(rng: Random, crop: tuple[int, int]) -> np.ndarray:
    """Return a box (2, 2): first corner, and corner behind the last pixel; all is drawn anew until it fits."""
    while True:
        size = rng.uniform(*CUTOUT_SHARE) * crop[0] * crop[1]
        ratio = rng.uniform(*CUTOUT_RATIO)
        left, top = rng.integers(0, crop[1]), rng.integers(0, crop[0])
        bottom, right = top + int(sqrt(size * ratio)), left + int(sqrt(size / ratio))
        if bottom <= crop[0] and right <= crop[1]:
            return np.array([(top, left), (bottom, right)])


def random_factors(count: int, generator: torch.Generator) -> Tensor:
    """Return factors (count,), drawn on the generator's device."""
    low, high = JITTER
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)


def jittered(images: Tensor, brightness: Tensor, contrast: Tensor, brightness_first: Tensor) -> Tensor:
    """Return images with other brightness, clip(f · v), and contrast, clip(g · v + (1 − g) · mean(v)), in [0, 1].

    Args:
        images: (B, C, H, W), from 0 to 1.
        brightness, contrast: (B,), f and g.
        brightness_first: (B,), which of the two comes first: the mean is of each channel as it is then.
    """
    f, g, first = (each.view(-1, 1, 1, 1) for each in (brightness, contrast, brightness_first))
    return torch.where(first, contrasted(brightened(images, f), g), brightened(contrasted(images, g), f))


def brightened(images: Tensor, factor: Tensor) -> Tensor:
    """Return clip(f · v)."""
    return (factor * images).clamp(0, 1)


def contrasted(images: Tensor, factor: Tensor) -> Tensor:
    """Return clip(g · v + (1 − g) · mean(v))."""
    return (factor * images + (1 - factor) * images.mean((2, 3), keepdim=True)).clamp(0, 1)
