"""A plain training step of M³HL, the way the field writes it: the yardstick of the speed measurements.

Every sample opens its HDF5 file, SciPy augments it, masks are drawn in loops, scikit-image finds the components on
the CPU, losses go class by class and pair by pair, the teacher follows parameter by parameter; float32, eager, the
default memory format. It computes what `m3hl` computes with the preset `released`, and shares the networks only.
"""

import copy
import random
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage import measure
from torch import Tensor

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import split_cases
from m3hl.data.store import CaseInfo, Store
from m3hl.methods.parts.losses import pooled


class PlainTraining:
    """Student, teacher, optimiser and data of a run; `step()` does one iteration.

    Args:
        settings: of a run of M³HL with the preset `released`.
        path: the store.
        device: where the networks are.
    """

    def __init__(self, settings: RunSettings, path: Path, device: torch.device) -> None:
        self.settings, self.path, self.device = settings, path, device
        self.classes = len(settings.classes) + 1
        self.student = nets.build(settings.dimensions, self.classes, settings.channels).to(device).train()
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        options = settings.options
        self.optimizer = torch.optim.SGD(
            self.student.parameters(),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
        with Store(path) as store:
            self.labeled, self.unlabeled = (self.samples(cases) for cases in split_cases(store, settings.labeled))

    def samples(self, cases: list[CaseInfo]) -> list[tuple[str, int | None]]:
        """Return case and slice of every sample (slice None: the whole volume)."""
        if self.settings.dimensions == 3:
            return [(case.name, None) for case in cases]
        return [(case.name, z) for case in cases for z in range(case.shape[0])]

    def step(self) -> dict[str, float]:
        """Do one iteration and return its losses."""
        images, labels = self.batch(self.labeled, self.settings.labeled_batch)
        others, _ = self.batch(self.unlabeled, self.settings.unlabeled_batch)
        half = len(images) // 2
        mask = self.mask(half)
        with torch.no_grad():
            taught = [self.teacher(others[:half]), self.teacher(others[half:])]
            pseudo = [largest_components(out.logits.softmax(1).argmax(1), self.classes) for out in taught]
        labeled_side = [mask if side == "labeled" else 1 - mask for side in self.settings.options.mask_keeps]
        total: Tensor | float = 0.0
        mixed = []
        for stream, side in enumerate(labeled_side):
            part = slice(stream * half, (stream + 1) * half)
            out = self.student(images[part] * side.unsqueeze(1) + others[part] * (1 - side.unsqueeze(1)))
            mixed.append(out)
            total = total + self.settings.options.labeled_weight * self.region_loss(out.logits, labels[part], side)
            total = total + self.settings.options.unlabeled_weight * self.region_loss(
                out.logits, pseudo[stream], 1 - side
            )
        mix = total
        low: Tensor | float = 0.0
        high: Tensor | float = 0.0
        for s in mixed:
            for t in taught:
                low = low + torch.mean(torch.abs(s.last_decoder - t.last_decoder)) / 4
                a, b = (out.bottleneck if half_2d(out) else pooled(out.bottleneck) for out in (s, t))
                high = high + (1 - F.cosine_similarity(a.flatten(1), b.flatten(1), dim=1).mean()) / 4
        total = mix + self.settings.options.consistency_weight * (low + high)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        self.update_teacher()
        return {"loss": total.item(), "mix": mix.item(), "low": low.item(), "high": high.item()}

    def batch(self, samples: list[tuple[str, int | None]], count: int) -> tuple[Tensor, Tensor]:
        """Return random images (B, 1, *crop) and labels (B, *crop), read one by one."""
        pairs = [self.sample(*chosen) for chosen in random.sample(samples, count)]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])).unsqueeze(1).to(self.device)
        return images, torch.from_numpy(np.stack([label for _, label in pairs])).long().to(self.device)

    def sample(self, case: str, z: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Read, augment and crop one sample."""
        with h5py.File(self.path, "r") as file:
            group = file["cases"][case]
            image, label = (group[key][() if z is None else z] for key in ("image", "label"))
        return (
            crop_volume(image, label, self.settings.crop)
            if z is None
            else resize_slice(*augment_slice(image, label), self.settings.crop)
        )

    def mask(self, count: int) -> Tensor:
        """Return random masks (count, *crop), cell by cell."""
        crop, patch = self.settings.crop, self.settings.options.mask_patch(self.settings.crop)
        masks = np.ones((count, *crop), np.float32)
        for one in masks:
            cells = list(np.ndindex(*(n // p for n, p in zip(crop, patch, strict=True))))
            for cell in random.sample(cells, int(self.settings.options.mask_ratio * len(cells))):
                one[tuple(slice(c * p, (c + 1) * p) for c, p in zip(cell, patch, strict=True))] = 0
        return torch.from_numpy(masks).to(self.device)

    def region_loss(self, logits: Tensor, target: Tensor, region: Tensor) -> Tensor:
        """Return (cross entropy + Dice) / 2 on a region."""
        entropy = (F.cross_entropy(logits, target, reduction="none") * region).sum() / (region.sum() + 1e-16)
        probability, dice = logits.softmax(1), 0.0
        squared = self.settings.options.dice == "squared"
        for c in range(self.classes):
            p, y = probability[:, c], (target == c).float()
            axes = tuple(range(p.ndim)) if squared else tuple(range(1, p.ndim))
            epsilon = 1e-10 if squared else 1e-5
            size = ((p * p + y * y) if squared else (p + y)) * region
            overlap = (p * y * region).sum(axes)
            dice = dice + (1 - (2 * overlap + epsilon) / (size.sum(axes) + epsilon)).mean() / self.classes
        return (entropy + dice) / 2

    @torch.no_grad()
    def update_teacher(self) -> None:
        """Move the teacher towards the student, parameter by parameter."""
        decay = self.settings.options.ema_decay
        for t, s in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            t.mul_(decay).add_(s, alpha=1 - decay)
        if self.settings.options.ema_buffers:
            for t, s in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
                if t.is_floating_point():
                    t.mul_(decay).add_(s, alpha=1 - decay)


def largest_components(labels: Tensor, classes: int) -> Tensor:
    """Keep the largest component of each class of each sample, by scikit-image on the CPU."""
    kept = []
    for sample in labels.cpu().numpy():
        clean = np.zeros_like(sample)
        for c in range(1, classes):
            components = measure.label(sample == c)
            if components.max() > 0:
                clean[components == np.argmax(np.bincount(components.flat)[1:]) + 1] = c
        kept.append(clean)
    return torch.from_numpy(np.stack(kept)).to(labels.device)


def augment_slice(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn and flip, or rotate, or leave a slice as it is."""
    if random.random() < 0.5:
        turns, axis = random.randrange(4), random.randrange(2)
        return tuple(np.flip(np.rot90(a, turns), axis).copy() for a in (image, label))
    if random.random() < 0.5:
        angle = random.randrange(-20, 20)
        return tuple(ndimage.rotate(a, angle, order=0, reshape=False) for a in (image, label))
    return image, label


def resize_slice(image: np.ndarray, label: np.ndarray, crop: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Resize a slice by nearest neighbour."""
    factors = [out / n for n, out in zip(image.shape, crop, strict=True)]
    return ndimage.zoom(image, factors, order=0), ndimage.zoom(label, factors, order=0)


def crop_volume(image: np.ndarray, label: np.ndarray, crop: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Turn and flip a volume, and cut a random crop; a smaller one is padded with zeros."""
    turns, axis = random.randrange(4), random.randrange(2)
    image, label = (np.flip(np.rot90(a, turns), axis).copy() for a in (image, label))
    missing = [max(out - n, 0) for n, out in zip(image.shape, crop, strict=True)]
    image, label = (np.pad(a, [(m // 2, m - m // 2) for m in missing]) for a in (image, label))
    starts = [random.randint(0, n - out) for n, out in zip(image.shape, crop, strict=True)]
    window = tuple(slice(s, s + out) for s, out in zip(starts, crop, strict=True))
    return image[window], label[window]


def half_2d(out: nets.Output) -> bool:
    """Return whether the network is the U-Net, whose bottleneck is compared as it is."""
    return out.bottleneck.ndim == 4
