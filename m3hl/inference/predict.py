"""Segmenting image files that belong to no data set."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3hl.config import networks
from m3hl.config.datasets import describe
from m3hl.data.case import Geometry
from m3hl.data.checks import check_image
from m3hl.data.images import read_volume, write_map
from m3hl.data.normalize import NORMALIZATIONS
from m3hl.data.readers import percentiles
from m3hl.data.resample import resample_image
from m3hl.data.shrink import shrink_image
from m3hl.errors import UserError
from m3hl.inference.inputs import find_images, stem
from m3hl.inference.protocol import Protocol
from m3hl.inference.weights import Weights
from m3hl.progress import Progress

log = logging.getLogger(__name__)


class Segmenter:
    """Trained networks that segment scans together: by the mean of their probabilities, if they are several.

    Args:
        runs: weights with their settings, at least one.
        stride: voxels between windows in 3D; None: the data set's.
        device: where to compute.

    Raises:
        UserError: the runs are of different studies, or the stride does not fit.
    """

    def __init__(self, runs: Sequence[Weights], stride: tuple[int, int, int] | None, device: torch.device) -> None:
        self.first, self.runs, self.device = runs[0], runs, device
        for other in runs[1:]:
            if identity(other) != identity(self.first):
                raise UserError(
                    f"the weights are of runs on {study(self.first)} and on {study(other)}; only runs on the same "
                    "data can segment together"
                )
        self.protocols = []
        for run in runs:
            description, settings = describe(run.dataset), run.settings
            run.network.to(device)
            self.protocols.append(
                Protocol(
                    settings.crop, stride or description.stride, description.largest_component, settings.shrink
                )
            )

    def read(self, path: Path) -> tuple[np.ndarray, Geometry]:
        """Return a scan as its file has it, its axes turned as in training; raises `UserError` for a bad one."""
        volume, geometry = read_volume(path, self.first.settings.dimensions, self.first.frame.orientation)
        check_image(volume, str(path))
        return volume, geometry

    def segment(self, volume: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Return the label map of a scan, uint8, on its grid."""
        if len(self.runs) > 1:
            return self.with_probabilities(volume, geometry)[0]
        seen = self.prepared(self.first, volume, geometry)
        with networks.blamed(self.first.settings.network):
            (labels,) = self.protocols[0].segment(self.first.network, [seen], [volume.shape])
        return labels.cpu().numpy()

    def with_probabilities(self, volume: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Return the label map of a scan, and the probability of each class (C, …), float32, on its grid."""
        total: Tensor | None = None
        for run, protocol in zip(self.runs, self.protocols, strict=True):
            seen = self.prepared(run, volume, geometry)
            with networks.blamed(run.settings.network):
                probability = protocol.probabilities(run.network, seen, volume.shape)
            total = probability if total is None else total + probability
        mean = total / len(self.runs)
        return self.protocols[0].decided(mean).cpu().numpy(), mean.cpu().numpy()

    def prepared(self, run: Weights, volume: np.ndarray, geometry: Geometry) -> Tensor:
        """Return a scan as a run's network was trained on such."""
        normalized = NORMALIZATIONS[describe(run.dataset).normalization](volume)
        seen = resample_image(normalized, run.frame.shape(volume.shape, geometry.spacing))
        if run.settings.shrink:
            seen = shrink_image(seen, run.settings.shrink)
        return torch.from_numpy(seen).to(self.device)


def predict(
    runs: Sequence[Weights],
    images: Iterable[Path],
    folder: Path,
    *,
    stride: tuple[int, int, int] | None,
    device: torch.device,
    probabilities: bool = False,
) -> None:
    """Write the label map of each image to `folder`, on the image's grid.

    All images are checked before the first is segmented; what is unlike the training images gets a warning.

    Args:
        runs: trained networks with their settings; of several the mean of the probabilities decides.
        images: files that ITK reads, folders of these or of DICOM, or patterns.
        folder: each label map is called like its image, with the ending .nii.gz.
        stride: voxels between windows in 3D; None: the data set's.
        device: where to compute.
        probabilities: whether to write `<image>-probability-<class>.nii.gz`, too.

    Raises:
        UserError: an image cannot be read or is no volume, two have the same name, the stride does not fit, or
            the runs do not belong together.
    """
    paths = find_images(images)
    outputs = [folder / f"{stem(image)}.nii.gz" for image in paths]
    for image, out in zip(paths, outputs, strict=True):
        if outputs.count(out) > 1:
            raise UserError(f"{image}: two images are called {stem(image)}; segment them into different folders")
        # Path.resolve fails at a link to itself.
        if os.path.realpath(out) == os.path.realpath(image):
            raise UserError(f"{image}: the label map would take its place; choose another folder with --out")
    segmenter = Segmenter(runs, stride, device)
    for image in paths:
        volume, geometry = segmenter.read(image)
        for remark in runs[0].seen.remarks(geometry, percentiles(volume)) if runs[0].seen else ():
            log.warning("%s: %s", image, remark)
    progress = Progress("predict", len(paths))
    for done, (image, out) in enumerate(zip(paths, outputs, strict=True), start=1):
        volume, geometry = segmenter.read(image)
        if probabilities:
            labels, scores = segmenter.with_probabilities(volume, geometry)
            for name, score in zip(runs[0].settings.classes, scores[1:], strict=True):
                file = f"{stem(image)}-probability-{name.replace(' ', '-').replace('/', '-')}.nii.gz"
                write_map(folder / file, score, geometry)
        else:
            labels = segmenter.segment(volume, geometry)
        write_map(out, labels, geometry)
        progress.update(done, out.name)


def identity(run: Weights) -> tuple[object, ...]:
    """Return what runs have in common that can segment together."""
    return run.settings.dimensions, run.settings.classes, run.frame.orientation


def study(run: Weights) -> str:
    """Return what a run was trained on, in words."""
    return f"{run.settings.dimensions}D images of {', '.join(run.settings.classes)} ({run.frame.described()})"
