"""Scans of left atria in LA's raw layout: `<scan>/lgemri.nrrd` and `<scan>/laendo.nrrd`."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.config.dataset import PhantomConfig
from m3hl.data.images import write_image
from m3hl.data.phantom.atrium import draw_atrium, draw_scan
from m3hl.data.phantom.patients import patients, random_streams, write_split
from m3hl.data.phantom.scanner import acquire, shading
from m3hl.errors import UserError
from m3hl.progress import Progress

SIZE = (56, 56, 40)
VIEW = 112.0
"""mm that the shorter in-plane side of a scan shows."""


def make(config: PhantomConfig, folder: Path) -> None:
    """Write the scans of a study, and their split, into `folder`.

    Args:
        config: counts, seed, and the least size of a scan (up to a seventh is added in x and y).
        folder: gets `atriumXXX/lgemri.nrrd` (uint8), `laendo.nrrd` (0 and 255) and `splits.csv`.

    Raises:
        UserError: `config.size` is not (X, Y, Z), or too small for an atrium.
    """
    size = config.size or SIZE
    if len(size) != 3 or min(size) < 24:
        raise UserError(f"phantom.size: {tuple(size)}, expected three extents of at least 24 voxels")
    study = list(patients(config))
    progress = Progress("draw atria", len(study))
    for done, (number, _) in enumerate(study, start=1):
        write_scan(folder / f"atrium{number:03}", config, number, (size[0], size[1], size[2]))
        progress.update(done)
    write_split(folder, [(f"atrium{number:03}", split) for number, split in study])


def write_scan(folder: Path, config: PhantomConfig, number: int, size: tuple[int, int, int]) -> None:
    """Write one scan and its label map."""
    body, scene, scanner = random_streams(config, number, 3)
    x, y = (n + 2 * int(body.integers(0, n // 14 + 1)) for n in size[:2])
    shape, spacing = (x, y, size[2]), VIEW / min(x, y)
    image, mask = draw_scan(scene, draw_atrium(body), shape, spacing)
    signal = np.clip(image, 0, None) ** body.uniform(0.8, 1.25)
    signal *= shading(scanner, shape, scanner.uniform(0.15, 0.4))
    scan = acquire(scanner, signal, 3 * (scanner.uniform(0.35, 0.8),), scanner.uniform(0.03, 0.07))
    save(folder / "lgemri.nrrd", np.clip(scan * 150, 0, 255).round().astype(np.uint8), spacing)
    save(folder / "laendo.nrrd", np.where(mask, 255, 0).astype(np.uint8), spacing)


def save(path: Path, array: np.ndarray, spacing: float) -> None:
    """Write an (X, Y, Z) array with its spacing in mm."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose()))
    image.SetSpacing(3 * [spacing])
    write_image(path, image)
