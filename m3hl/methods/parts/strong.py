"""Strong views: the intensities of images changed at random, sample by sample, where the images are.

As AD-MT and PS-MT change them: slices in 8 bits by Pillow's rules, volumes in their own range of values. Nothing
branches on what was drawn. A sample that keeps its intensities gets factors that do nothing.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from m3hl.methods.parts.noise import standard_normal

JITTERED, NOISY = 0.8, 0.2
"""Probability that a sample's brightness and contrast change, and that a volume gets noise."""
DEVIATIONS = (0.1, 2.0)
"""Range of the blur's σ in pixels; the kernel below ends at σ = √6."""


class SliceChanges(NamedTuple):
    """What is done to slices, each (B, 1, 1, 1).

    Attributes:
        contrast_first: whether contrast comes before brightness.
        brightness, contrast: factors, 1 changes nothing.
        deviation: σ of the blur in pixels, 0 for none.
    """

    contrast_first: Tensor
    brightness: Tensor
    contrast: Tensor
    deviation: Tensor


class VolumeChanges(NamedTuple):
    """What is done to volumes, each (B, 1, 1, 1, 1).

    Attributes:
        jittered: whether brightness and contrast change.
        scale, shift: α and β of that.
        deviation: σ of the noise, 0 for none.
    """

    jittered: Tensor
    scale: Tensor
    shift: Tensor
    deviation: Tensor


def strong(images: Tensor, generator: torch.Generator, *, blurred: float) -> Tensor:
    """Return a strong view of each image (B, C, *); its channels are changed alike, each in its own range.

    Args:
        images: slices or volumes.
        generator: on their device.
        blurred: probability that a slice is blurred; volumes never are.
    """
    if images.ndim == 4:
        return changed_slices(images, draw_slice_changes(len(images), generator, blurred))
    changes = draw_volume_changes(len(images), generator)
    return changed_volumes(images, changes, standard_normal(images, generator))


def draw_slice_changes(count: int, generator: torch.Generator, blurred: float) -> SliceChanges:
    """Draw brightness and contrast from 0.5 to 1.5, their order, and the blur of `count` slices."""
    u = torch.rand((6, count, 1, 1, 1), generator=generator, device=generator.device)
    jittered, least, most = u[0] < JITTERED, *DEVIATIONS
    return SliceChanges(
        contrast_first=u[1] < 0.5,
        brightness=torch.where(jittered, 0.5 + u[2], 1.0),
        contrast=torch.where(jittered, 0.5 + u[3], 1.0),
        deviation=torch.where(u[4] < blurred, least + (most - least) * u[5], 0.0),
    )


def draw_volume_changes(count: int, generator: torch.Generator) -> VolumeChanges:
    """Draw α from 0.5 to 1.5, β from −0.5 to 0.5, and the noise's σ from 0.1 to 1 of `count` volumes."""
    u = torch.rand((5, count, 1, 1, 1, 1), generator=generator, device=generator.device)
    deviation = torch.where(u[3] < NOISY, 0.1 + 0.9 * u[4], 0.0)
    return VolumeChanges(jittered=u[0] < JITTERED, scale=0.5 + u[1], shift=u[2] - 0.5, deviation=deviation)


def changed_slices(images: Tensor, changes: SliceChanges) -> Tensor:
    """Return slices (B, C, H, W) with other brightness, contrast and sharpness, in steps of 1/255.

    They are [0, 1], as slices are normalised; what exceeds that stretches its slice's range of grey levels. Levels
    are of each channel on its own.
    """
    low = images.amin((2, 3), keepdim=True).clamp(max=0)
    range_ = images.amax((2, 3), keepdim=True).clamp(min=1) - low
    grey = ((images - low) / range_ * 255).floor()
    for is_contrast in (changes.contrast_first, ~changes.contrast_first):
        # Brightness is a mixture with black, contrast one with the mean grey level.
        other = torch.where(is_contrast, (grey.mean((2, 3), keepdim=True) + 0.5).floor(), 0.0)
        factor = torch.where(is_contrast, changes.contrast, changes.brightness)
        grey = (other + factor * (grey - other)).clamp(0, 255).floor()
    return blurred_grey(grey, changes.deviation) / 255 * range_ + low


def blurred_grey(grey: Tensor, deviation: Tensor) -> Tensor:
    """Return 8-bit slices (B, C, H, W) blurred as by Pillow's Gaussian: three boxes along each axis, each rounded.

    A box is [f, 1 × (2h + 1), f] / (2h + 1 + 2f) with h = ⌊(√(4σ² + 1) − 1) / 2⌋ and
    f = (2h + 1)(h (h + 1) − σ²) / (2σ² − 6 (h + 1)²); edges are replicated.

    Args:
        grey: whole numbers from 0 to 255.
        deviation: σ, (B, 1, 1, 1), below √6, so that h is 0 or 1; 0 changes nothing.
    """
    variance = deviation.square()
    h = (((4 * variance + 1).sqrt() - 1) / 2).floor()
    f = (2 * h + 1) * (h * (h + 1) - variance) / (2 * variance - 6 * (h + 1).square())
    total = 2 * h + 1 + 2 * f
    center, next_, outer = 1 / total, torch.where(h > 0, 1.0, f) / total, torch.where(h > 0, f, 0.0) / total
    for axis, margins in ((3, (2, 2, 0, 0)), (2, (0, 0, 2, 2))):
        size = grey.shape[axis]
        for _ in range(3):
            padded = F.pad(grey, margins, mode="replicate")
            a, b, c, d, e = (padded.narrow(axis, start, size) for start in range(5))
            grey = (center * c + next_ * (b + d) + outer * (a + e) + 0.5).floor()
    return grey


def changed_volumes(images: Tensor, changes: VolumeChanges, noise: Tensor) -> Tensor:
    """Return volumes (B, C, X, Y, Z) with other brightness and contrast, and noise.

    With u from 0 to 1 in the range of a volume's channel: u ← α u, u ← clip(u + β · mean(u), 0, 1). Noise is
    clip(σ z, ±2σ).

    Args:
        images: of any range.
        changes: for each volume.
        noise: z, normal numbers in the shape of `images`.
    """
    axes = (2, 3, 4)
    low = images.amin(axes, keepdim=True)
    range_ = images.amax(axes, keepdim=True) - low
    # A crop of one value has no range; it stays as it is.
    u = (images - low) / torch.where(range_ > 0, range_, 1.0) * changes.scale
    u = (u + changes.shift * u.mean(axes, keepdim=True)).clamp(0, 1)
    changed = torch.where(changes.jittered, u * range_ + low, images)
    return changed + noise.clamp(-2, 2) * changes.deviation
