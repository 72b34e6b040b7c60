"""Segmenting image files that belong to no data set."""

import os
from pathlib import Path

import torch

from m3hl.config.datasets import describe
from m3hl.data.checks import check_image
from m3hl.data.images import read_volume, write_label
from m3hl.data.normalize import NORMALIZATIONS
from m3hl.data.resample import resample_image
from m3hl.data.shrink import shrink_image
from m3hl.errors import UserError
from m3hl.inference.protocol import Protocol
from m3hl.inference.weights import Weights
from m3hl.progress import Progress

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def predict(
    weights: Weights,
    images: tuple[Path, ...],
    folder: Path,
    *,
    stride: tuple[int, int, int] | None,
    device: torch.device,
) -> None:
    """Write the label map of each image to `folder`, on the image's grid.

    Args:
        weights: a trained network with its settings.
        images: volumes that ITK reads; they are normalised as the training images were.
        folder: each label map is called like its image, with the ending .nii.gz.
        stride: voxels between windows in 3D; None: the data set's.
        device: where to compute.

    Raises:
        UserError: an image cannot be read or is no volume, two have the same name, or the stride does not fit.
    """
    description = describe(weights.dataset)
    outputs = [folder / f"{stem(image)}.nii.gz" for image in images]
    for image, out in zip(images, outputs, strict=True):
        if outputs.count(out) > 1:
            raise UserError(f"{image}: two images are called {stem(image)}; segment them into different folders")
        # Path.resolve fails at a link to itself.
        if os.path.realpath(out) == os.path.realpath(image):
            raise UserError(f"{image}: the label map would take its place; choose another folder with --out")
    shrink = weights.settings.shrink
    protocol = Protocol(weights.settings.crop, stride or description.stride, description.largest_component, shrink)
    network = weights.network.to(device)
    progress = Progress("predict", len(images))
    for done, (image, out) in enumerate(zip(images, outputs, strict=True), start=1):
        volume, geometry = read_volume(image, weights.settings.dimensions, weights.frame.orientation)
        check_image(volume, str(image))
        normalized = NORMALIZATIONS[description.normalization](volume)
        seen = resample_image(normalized, weights.frame.shape(volume.shape, geometry.spacing))
        seen = shrink_image(seen, shrink) if shrink else seen
        (labels,) = protocol.segment(network, [torch.from_numpy(seen).to(device)], [volume.shape])
        write_label(out, labels.cpu().numpy(), geometry)
        progress.update(done, out.name)


def stem(path: Path) -> str:
    """Return a file's name without the ending of its image format."""
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), path.suffix)
    return path.name[: len(path.name) - len(ending)]
