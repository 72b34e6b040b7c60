"""Short-axis stacks of hearts in ACDC's raw layout: end diastole and end systole, three classes."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.config.dataset import PhantomConfig
from m3hl.data.images import write_image
from m3hl.data.phantom.heart import draw_heart, draw_tissue
from m3hl.data.phantom.patients import patients, random_streams, write_split
from m3hl.data.phantom.scanner import acquire, shading
from m3hl.data.phantom.stack import draw_stack
from m3hl.errors import UserError
from m3hl.files.atomic import write_text
from m3hl.progress import Progress

SIZE = (64, 64)
VIEW = 190.0
"""mm that the shorter side of an image shows."""


def make(config: PhantomConfig, folder: Path) -> None:
    """Write the patients of a study, and their split, into `folder`.

    Args:
        config: counts, seed, and the least height and width of an image (an eighth is added at most).
        folder: gets `patientXXX/patientXXX_frameNN.nii.gz`, `…_gt.nii.gz`, `Info.cfg` and `splits.csv`.

    Raises:
        UserError: `config.size` is not (H, W), or too small for a heart.
    """
    size = config.size or SIZE
    if len(size) != 2 or min(size) < 32:
        raise UserError(f"phantom.size: {tuple(size)}, expected height and width of at least 32 pixels")
    study = list(patients(config))
    progress = Progress("draw hearts", len(study))
    for done, (number, _) in enumerate(study, start=1):
        write_patient(folder / f"patient{number:03}", config, number, (size[0], size[1]))
        progress.update(done)
    write_split(folder, [(f"patient{number:03}", split) for number, split in study])


def write_patient(folder: Path, config: PhantomConfig, number: int, size: tuple[int, int]) -> None:
    """Write one patient's two frames with their label maps, and Info.cfg."""
    body, first, second = random_streams(config, number, 3)
    heart, tissue = draw_heart(body), draw_tissue(body)
    shape = (int(body.integers(8, 11)), *(n + 2 * int(body.integers(0, n // 16 + 1)) for n in size))
    in_plane = round(VIEW / min(shape[1:]), 3)
    spacing = (float(body.choice([8.0, 10.0])), in_plane, in_plane)
    coil = shading(body, shape, body.uniform(0.2, 0.8))
    blur = (0.25, *(2 * [body.uniform(0.35, 0.8)]))
    noise, gamma = body.uniform(0.025, 0.08), body.uniform(0.6, 1.6)
    scene, systole = int(body.integers(2**32)), int(body.integers(8, 14))
    for rng, frame, state in ((first, 1, heart), (second, systole, heart.contracted())):
        # Only the heart moves between the frames, so both draw the same scene.
        image, label = draw_stack(np.random.default_rng(scene), state, tissue, shape, spacing)
        gain = rng.normal(1, 0.05, (shape[0], 1, 1))
        scan = acquire(rng, np.clip(image, 0, None) ** gamma * coil * gain, blur, noise)
        stem = f"{folder.name}_frame{frame:02}"
        save(folder / f"{stem}.nii.gz", np.round(scan * 300).astype(np.int16), spacing)
        save(folder / f"{stem}_gt.nii.gz", label, spacing)
    height, weight = body.uniform(155, 190), body.uniform(50, 100)
    write_text(
        folder / "Info.cfg",
        f"ED: 1\nES: {systole}\nGroup: {heart.group}\nHeight: {height:.1f}\n"
        f"NbFrame: {systole + 16}\nWeight: {weight:.1f}\n",
    )


def save(path: Path, array: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Write a (Z, H, W) array with its spacing in mm."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    write_image(path, image)
