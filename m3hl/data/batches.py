"""Batches as a pure function of seed and iteration: nothing to save, nothing for a resumed run to lose."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from m3hl.config.run import RunSettings
from m3hl.data.ahead import Ahead
from m3hl.data.augment import View, slice_view, volume_view
from m3hl.data.placement import Budget, Place
from m3hl.data.pool import Pool, Staged
from m3hl.data.samples import Samples
from m3hl.data.store import CaseInfo, Store
from m3hl.errors import UserError

LABELED_ORDER, UNLABELED_ORDER, VIEWS, METHOD, TURNS = range(5)
"""Purposes of random numbers: each has a stream of its own."""


@dataclass(frozen=True)
class Batch:
    """What one iteration trains on.

    Attributes:
        labeled_images: (B_l, C, *crop) float32, C = 1 unless each case has several images.
        labels: (B_l, *crop) int64.
        unlabeled_images: (B_u, C, *crop) float32.
        rng: the iteration's own source of random choices, for the method's masks.
        iteration: t, those of the stage that are done.
        iterations: T, all of the stage.
        unlabeled_pass: how often the stage had drawn every unlabeled sample before.
    """

    labeled_images: Tensor
    labels: Tensor
    unlabeled_images: Tensor
    rng: np.random.Generator
    iteration: int = 0
    iterations: int = 1
    unlabeled_pass: int = 0

    def generator(self) -> torch.Generator:
        """Return a new source of random numbers on the images' device: noise for every voxel is drawn there."""
        generator = torch.Generator(self.labeled_images.device)
        return generator.manual_seed(int(self.rng.integers(2**63)))


class Batches:
    """The training split; `batches.draw(iteration)` makes the batch of an iteration.

    Samples are drawn without replacement: a new random order for each pass, labeled and unlabeled apart.

    Args:
        pools: the samples of either kind.
        counts: how many of either kind a batch has.
        settings: crop and seed.
        facts: which cases are used, for the run's record.
        stage: number of the run's stage, from 0; each has random choices of its own.
        iterations: of the stage.
    """

    def __init__(
        self,
        pools: tuple[Pool, Pool],
        counts: tuple[int, int],
        settings: RunSettings,
        facts: dict[str, Any],
        *,
        stage: int,
        iterations: int,
    ) -> None:
        (self.labeled, self.unlabeled), self.counts, self.facts = pools, counts, facts
        self.crop, self.seed, self.stage, self.iterations = settings.crop, settings.seed, stage, iterations
        # Where the device holds all samples, there is nothing worth a thread.
        resident = self.labeled.place == self.unlabeled.place == "device"
        self._ahead = None if resident else Ahead(self._stage)

    @classmethod
    def load(
        cls,
        store: Store,
        settings: RunSettings,
        device: torch.device,
        counts: tuple[int, int],
        budget: Budget,
        *,
        stage: int = 0,
        iterations: int | None = None,
    ) -> Self:
        """Take the training split of `store`; either kind of images only where a batch has any.

        Args:
            store: the data set.
            settings: crop, seed, and how many groups are labeled.
            device: where batches are made.
            counts: labeled and unlabeled samples of a batch.
            budget: memory that the images may take; what does not fit is read as it is needed.
            stage: number of the run's stage, from 0.
            iterations: of the stage; None: the run's.

        Raises:
            UserError: the store does not fit the settings.
        """
        with_labels, without = training_cases(store, settings)
        labeled = Samples(store, with_labels if counts[0] else [], labels=True)
        unlabeled = Samples(store, without if counts[1] else [], labels=False)
        place = budget.place(labeled.size + unlabeled.size)
        facts = {
            "labeled_groups": list(dict.fromkeys(case.group for case in with_labels)),
            "counts": {
                "labeled_cases": len(with_labels),
                "labeled_samples": len(Samples(store, with_labels, labels=True)),
                "unlabeled_cases": len(unlabeled.cases),
                "unlabeled_samples": len(unlabeled),
            },
        }
        pools = Pool(labeled, place, device), Pool(unlabeled, place, device)
        return cls(pools, counts, settings, facts, stage=stage, iterations=iterations or settings.iterations)

    def draw(self, iteration: int) -> Batch:
        """Return the batch of `iteration` (from 0)."""
        labeled, unlabeled = self._ahead(iteration) if self._ahead else self._stage(iteration)
        images = labels = others = None
        if labeled:
            images, labels = self.labeled.gather(labeled, self.crop)
        if unlabeled:
            others, _ = self.unlabeled.gather(unlabeled, self.crop)
        if images is None:
            images, labels = others[:0], torch.empty((0, *self.crop), dtype=torch.int64, device=others.device)
        if others is None:
            others = images[:0]
        done = iteration * self.counts[1] // len(self.unlabeled) if unlabeled else 0
        return Batch(images, labels, others, self._rng(METHOD, iteration), iteration, self.iterations, done)

    @property
    def place(self) -> Place:
        """Return where the images are kept."""
        return self.labeled.place

    def close(self) -> None:
        """Read no further."""
        if self._ahead:
            self._ahead.close()
        self.labeled.close()
        self.unlabeled.close()

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        """Return a random stream of the stage."""
        # Zeros at the end do not change numpy's seeds: the first stage is as a run without stages.
        return np.random.default_rng([self.seed, purpose, number, self.stage])

    def _stage(self, iteration: int) -> tuple[Staged | None, Staged | None]:
        """Do the host's part of a batch: make its random choices, and read what is not in memory."""
        rng = self._rng(VIEWS, iteration)
        staged = []
        kinds = (self.labeled, LABELED_ORDER), (self.unlabeled, UNLABELED_ORDER)
        for (pool, purpose), count in zip(kinds, self.counts, strict=True):
            if count:
                chosen = self._order(purpose, len(pool), iteration * count, count)
                staged.append(pool.stage(chosen, self._views(rng, pool, chosen)))
            else:
                staged.append(None)
        return tuple(staged)

    def _order(self, purpose: int, size: int, start: int, count: int) -> list[int]:
        """Return positions start … start + count − 1 of an endless row of random orders of `size` samples."""
        passes = range(start // size, (start + count - 1) // size + 1)
        row = np.concatenate([self._rng(purpose, p).permutation(size) for p in passes])
        first = start - passes.start * size
        return row[first : first + count].tolist()

    def _views(self, rng: np.random.Generator, pool: Pool, chosen: list[int]) -> list[View]:
        draw = slice_view if len(self.crop) == 2 else volume_view
        return [draw(rng, pool.samples.shapes[index], self.crop) for index in chosen]


def training_cases(store: Store, settings: RunSettings) -> tuple[list[CaseInfo], list[CaseInfo]]:
    """Return a run's labeled and unlabeled cases; raises `UserError` where the store does not fit the settings."""
    store.require(settings.dimensions, settings.classes, settings.shrink, settings.images)
    return split_cases(store, settings.labeled)


def split_cases(store: Store, labeled: int | str) -> tuple[list[CaseInfo], list[CaseInfo]]:
    """Return the labeled and the unlabeled training cases when the first `labeled` groups have labels.

    With "all", every labeled group counts as labeled, and the same images serve as the unlabeled ones.
    Training never reads the unlabeled cases' labels, where there are any.

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
