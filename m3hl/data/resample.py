"""Volumes at another spacing, their extent as it was: images linear, label maps by the class with the most."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from m3hl.data.case import Case
from m3hl.data.channels import each
from m3hl.data.frame import Frame, listed
from m3hl.errors import UserError

LARGEST = 2**31
"""Voxels of a resampled volume; more come from a spacing that is a mistake."""


def resample_image(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image with as many voxels as `shape` says, float32, linear between its voxels' middles.

    Where voxels become larger the image is smoothed before, by a Gaussian of half the voxels that are added
    (sigma, as in `skimage.transform.resize`). Border voxels go on beyond their middles.
    """
    if image.shape == tuple(shape):
        return image
    # ITK's axes run the other way round.
    steps = [n / m for n, m in zip(image.shape, shape, strict=True)][::-1]
    volume = sitk.GetImageFromArray(image.astype(np.float32, copy=False))
    if max(steps) > 1:
        volume = sitk.DiscreteGaussian(volume, [max(0, (s - 1) / 2) ** 2 for s in steps], useImageSpacing=False)
    large = sitk.Resample(
        volume,
        list(shape)[::-1],
        outputOrigin=[(s - 1) / 2 for s in steps],
        outputSpacing=steps,
        useNearestNeighborExtrapolator=True,
    )
    return sitk.GetArrayFromImage(large)


def resample_label(label: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a label map with as many voxels as `shape` says; no value is invented.

    Each class is resampled as an image, and a voxel gets the class with the most; of a tie the highest.
    """
    if label.shape == tuple(shape):
        return label
    values = np.unique(label)[::-1]
    most, found = np.full(shape, -1, np.float32), np.zeros(shape, np.uint8)
    for value in values:
        share = resample_image((label == value).astype(np.float32), shape)
        np.copyto(found, value, where=share > most)
        np.maximum(most, share, out=most)
    return found


def resample_case(case: Case, frame: Frame) -> Case:
    """Return a case at a study's spacing; only in training is its label map resampled, too.

    What is measured is measured on the original grid.

    Raises:
        UserError: the case would be absurdly large.
    """
    if frame.spacing is None or case.geometry is None:
        return case
    before, spacing = case.shape, case.geometry.spacing
    shape = frame.shape(before, spacing)
    if shape == before:
        return case
    if np.prod(shape, dtype=float) > LARGEST:
        raise UserError(
            f"{case.name}: {listed(spacing)} to {listed(frame.spacing)} mm would make {listed(shape)} voxels; set "
            "spacing, or mend the file's"
        )
    note = f"{listed(spacing)} to {listed(frame.spacing)} mm ({listed(before)} to {listed(shape)} voxels)"
    label = case.label
    if label is not None and case.split == "train":
        label = resample_label(label, shape)
    image = each(lambda channel: resample_image(channel, shape), case.image)
    return replace(case, image=image, label=label, notes=(*case.notes, note))
