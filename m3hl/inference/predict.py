"""Segmenting image files that belong to no data set."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3hl.config import networks
from m3hl.config.datasets import describe
from m3hl.data.case import Geometry
from m3hl.data.channels import apart, each, names
from m3hl.data.checks import check_image
from m3hl.data.images import read_pair, write_map
from m3hl.data.normalize import NORMALIZATIONS
from m3hl.data.readers import percentiles
from m3hl.data.resample import resample_image
from m3hl.data.shrink import shrink_image
from m3hl.errors import UserError
from m3hl.inference.inputs import Scan
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

    def read(self, scan: Scan) -> tuple[np.ndarray, Geometry]:
        """Return a scan as its files have it, its axes turned as in training; raises `UserError` for a bad one."""
        first, *others = scan.images
        settings, orientation = self.first.settings, self.first.frame.orientation
        volume, _, geometry = read_pair(first, None, settings.dimensions, orientation, others=others)
        for path, channel in zip(scan.images, apart(volume), strict=True):
            check_image(channel, str(path))
        return volume, geometry

    def segment(self, volume: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Return the label map of a scan, uint8, on its grid."""
        if len(self.runs) > 1:
            return self.with_probabilities(volume, geometry)[0]
        seen = self.prepared(self.first, volume, geometry)
        with networks.blamed(self.first.settings.network):
            (labels,) = self.protocols[0].segment(self.first.network, [seen], [volume.shape[-3:]])
        return labels.cpu().numpy()

    def with_probabilities(self, volume: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Return the label map of a scan, and the probability of each class (C, …), float32, on its grid."""
        total: Tensor | None = None
        for run, protocol in zip(self.runs, self.protocols, strict=True):
            seen = self.prepared(run, volume, geometry)
            with networks.blamed(run.settings.network):
                probability = protocol.probabilities(run.network, seen, volume.shape[-3:])
            total = probability if total is None else total + probability
        mean = total / len(self.runs)
        return self.protocols[0].decided(mean).cpu().numpy(), mean.cpu().numpy()

    def prepared(self, run: Weights, volume: np.ndarray, geometry: Geometry) -> Tensor:
        """Return a scan as a run's network was trained on such."""
        shape, shrink = run.frame.shape(volume.shape[-3:], geometry.spacing), run.settings.shrink

        def prepare(channel: np.ndarray) -> np.ndarray:
            normalized = NORMALIZATIONS[describe(run.dataset).normalization](channel)
            seen = resample_image(normalized, shape)
            return shrink_image(seen, shrink) if shrink else seen

        return torch.from_numpy(each(prepare, volume)).to(self.device)


def predict(
    runs: Sequence[Weights],
    scans: Sequence[Scan],
    folder: Path,
    *,
    stride: tuple[int, int, int] | None,
    device: torch.device,
    probabilities: bool = False,
) -> None:
    """Write the label map of each scan to `folder`, on its image's grid.

    All scans are checked before the first is segmented; what is unlike the training images gets a warning.

    Args:
        runs: trained networks with their settings; of several the mean of the probabilities decides.
        scans: as many images in each as the networks were trained on.
        folder: each label map is called like its scan, with the ending .nii.gz.
        stride: voxels between windows in 3D; None: the data set's.
        device: where to compute.
        probabilities: whether to write `<scan>-probability-<class>.nii.gz`, too.

    Raises:
        UserError: an image cannot be read or is no volume, a scan has too few or too many of them, two have the
            same name, the stride does not fit, or the runs do not belong together.
    """
    outputs = [folder / f"{scan.name}.nii.gz" for scan in scans]
    for scan, out in zip(scans, outputs, strict=True):
        if outputs.count(out) > 1:
            raise UserError(
                f"{scan.images[0]}: two images are called {scan.name}; segment them into different folders"
            )
        for image in scan.images:
            # Path.resolve fails at a link to itself.
            if os.path.realpath(out) == os.path.realpath(image):
                raise UserError(f"{image}: the label map would take its place; choose another folder with --out")
    segmenter = Segmenter(runs, stride, device)
    require_images(scans, runs[0])
    for scan in scans:
        volume, geometry = segmenter.read(scan)
        for remark in runs[0].seen.remarks(geometry, percentiles(volume)) if runs[0].seen else ():
            log.warning("%s: %s", scan.images[0], remark)
    progress = Progress("predict", len(scans))
    for done, (scan, out) in enumerate(zip(scans, outputs, strict=True), start=1):
        volume, geometry = segmenter.read(scan)
        if probabilities:
            labels, scores = segmenter.with_probabilities(volume, geometry)
            for name, score in zip(runs[0].settings.classes, scores[1:], strict=True):
                file = f"{scan.name}-probability-{name.replace(' ', '-').replace('/', '-')}.nii.gz"
                write_map(folder / file, score, geometry)
        else:
            labels = segmenter.segment(volume, geometry)
        write_map(out, labels, geometry)
        progress.update(done, out.name)


def require_images(scans: Sequence[Scan], run: Weights) -> None:
    """Raise `UserError` unless each scan has the images that a run was trained on."""
    wanted = run.settings.images
    for scan in scans:
        if names(len(scan.images)) == wanted:
            continue
        found = ", ".join(names(len(scan.images))) or "one image"
        how = (
            f"list them in a CSV with the columns case, {', '.join(wanted)}, and give it with --list"
            if wanted
            else "list one in a column image"
        )
        raise UserError(
            f"{scan.images[0]}: the network was trained on {', '.join(wanted) or 'one image'} of each case, this "
            f"scan has {found}; {how}"
        )


def identity(run: Weights) -> tuple[object, ...]:
    """Return what runs have in common that can segment together."""
    return run.settings.dimensions, run.settings.classes, run.settings.images, run.frame.orientation


def study(run: Weights) -> str:
    """Return what a run was trained on, in words."""
    count = f", {len(run.settings.images)} of each case" if run.settings.images else ""
    return (
        f"{run.settings.dimensions}D images{count} of {', '.join(run.settings.classes)} ({run.frame.described()})"
    )
