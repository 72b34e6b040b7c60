"""Batches as a pure function of seed and iteration: nothing to save, nothing for a resumed run to lose."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from m3hl.config.run import RunSettings
from m3hl.data.augment import View, slice_view, volume_view
from m3hl.data.pool import Pool
from m3hl.data.store import CaseInfo, Store
from m3hl.errors import UserError

LABELED_ORDER, UNLABELED_ORDER, VIEWS, METHOD = range(4)
"""Purposes of random numbers: each has a stream of its own."""


@dataclass(frozen=True)
class Batch:
    """What one iteration trains on.

    Attributes:
        labeled_images: (B_l, 1, *crop) float32.
        labels: (B_l, *crop) int64.
        unlabeled_images: (B_u, 1, *crop) float32.
        rng: the iteration's own source of random choices, for the method's masks.
    """

    labeled_images: Tensor
    labels: Tensor
    unlabeled_images: Tensor
    rng: np.random.Generator


class Batches:
    """The training split in memory; `batches.draw(iteration, …)` makes the batch of an iteration.

    Samples are drawn without replacement: a new random order for each pass, labeled and unlabeled apart.

    Args:
        labeled, unlabeled: the images of either kind.
        crop: voxels of a sample along each axis.
        seed: of every random choice.
        facts: which cases are used, for the run's record.
    """

    def __init__(
        self, labeled: Pool, unlabeled: Pool, crop: tuple[int, ...], seed: int, facts: dict[str, Any]
    ) -> None:
        self.labeled, self.unlabeled, self.crop, self.seed, self.facts = labeled, unlabeled, crop, seed, facts

    @classmethod
    def load(cls, store: Store, settings: RunSettings, device: torch.device, *, unlabeled: bool) -> Self:
        """Read the training split of `store`, the unlabeled images only if a method wants them.

        Raises:
            UserError: the store does not fit the settings.
        """
        store.require(settings.dimensions, settings.classes)
        with_labels, without = split_cases(store, settings.labeled)
        slices = store.dimensions == 2
        images, labels = samples(store, with_labels, slices=slices, labels=True)
        others = samples(store, without, slices=slices, labels=False)[0] if unlabeled else []
        facts = {
            "labeled_groups": list(dict.fromkeys(case.group for case in with_labels)),
            "counts": {
                "labeled_cases": len(with_labels),
                "labeled_samples": len(images),
                "unlabeled_cases": len(without) if unlabeled else 0,
                "unlabeled_samples": len(others),
            },
        }
        pools = Pool(images, labels, device), Pool(others, None, device)
        return cls(*pools, settings.crop, settings.seed, facts)

    def draw(self, iteration: int, labeled: int, unlabeled: int) -> Batch:
        """Return the batch of `iteration` (from 0) with so many labeled and unlabeled samples."""
        rng = np.random.default_rng([self.seed, VIEWS, iteration])
        chosen = self._order(LABELED_ORDER, len(self.labeled), iteration * labeled, labeled)
        images, labels = self.labeled.gather(chosen, self._views(rng, self.labeled, chosen))
        if unlabeled:
            chosen = self._order(UNLABELED_ORDER, len(self.unlabeled), iteration * unlabeled, unlabeled)
            others, _ = self.unlabeled.gather(chosen, self._views(rng, self.unlabeled, chosen))
        else:
            others = images[:0]
        return Batch(images, labels, others, np.random.default_rng([self.seed, METHOD, iteration]))

    def _order(self, purpose: int, size: int, start: int, count: int) -> list[int]:
        """Return positions start … start + count − 1 of an endless row of random orders of `size` samples."""
        passes = range(start // size, (start + count - 1) // size + 1)
        row = np.concatenate([np.random.default_rng([self.seed, purpose, p]).permutation(size) for p in passes])
        first = start - passes.start * size
        return row[first : first + count].tolist()

    def _views(self, rng: np.random.Generator, pool: Pool, chosen: list[int]) -> list[View]:
        draw = slice_view if len(self.crop) == 2 else volume_view
        return [draw(rng, pool.shapes[index], self.crop) for index in chosen]


def split_cases(store: Store, labeled: int | str) -> tuple[list[CaseInfo], list[CaseInfo]]:
    """Return the labeled and the unlabeled training cases when the first `labeled` groups have labels.

    With "all", every labeled group counts as labeled, and the same images serve as the unlabeled ones.
    The unlabeled cases' labels, where there are any, are never read.

    Raises:
        UserError: there are not so many labeled groups, or none.
    """
    order = store.labeled_order
    count = len(order) if labeled == "all" else int(labeled)
    if count > len(order):
        raise UserError(
            f"{store.path}: {count} labeled asked for, but only {len(order)} training groups have labels; "
            f"use at most {len(order)}, or all"
        )
    chosen = set(order[:count])
    cases = store.cases("train")
    with_labels = [case for case in cases if case.group in chosen]
    if not with_labels:
        raise UserError(f"{store.path}: the training split holds no labeled case; add labels or a split column")
    without = [case for case in cases if case.group not in chosen]
    return with_labels, without or with_labels


def samples(
    store: Store, cases: list[CaseInfo], *, slices: bool, labels: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the images and labels of `cases`: whole volumes, or their slices along axis 0."""
    images: list[np.ndarray] = []
    truths: list[np.ndarray] = []
    for case in cases:
        image = store.image(case.name)
        images.extend(image) if slices else images.append(image)
        if labels:
            truth = store.label(case.name)
            truths.extend(truth) if slices else truths.append(truth)
    return images, truths
