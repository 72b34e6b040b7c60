"""What is worth a warning in a data set of one's own: each thing once, with the cases named."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from m3hl.config.datasets.description import Description
from m3hl.data.case import Case
from m3hl.data.frame import Frame, listed
from m3hl.data.grids import orientation_of
from m3hl.data.seen import similar, spread

SPACINGS, EXTENTS, SLICES, SHARES = 1.1, 2.0, 1.5, 10.0
"""Factors from the median beyond which a case is odd: mm between voxels, mm of a volume and of slices, and the
share of voxels that a label map fills."""
MOST_FILLED = 0.5
"""Share of voxels beyond which a label map looks like its own background."""
MOST_NAMES = 10
PATIENT = re.compile(r"\D*\d+")


@dataclass(frozen=True)
class Look:
    """What a case looks like, without its voxels.

    Attributes:
        name, group, split: as in `Case`.
        size, spacing: voxels and mm along the array's axes, as the file has them.
        orientation: letters of the file.
        levels: values that 1, 50 and 99 % of the image's voxels stay below, as the file has them.
        shares: part of the voxels that each class fills; None without a label map.
    """

    name: str
    group: str
    split: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    orientation: str
    levels: tuple[float, ...]
    shares: tuple[float, ...] | None

    @classmethod
    def of(cls, case: Case, classes: int) -> Self:
        """Return the look of a case that comes from an image file."""
        shares = None
        if case.label is not None:
            counts = np.bincount(case.label.ravel(), minlength=classes + 1)[1:]
            shares = tuple((counts / case.label.size).tolist())
        geometry = case.geometry
        return cls(
            name=case.name,
            group=case.group,
            split=case.split,
            size=geometry.size,
            spacing=geometry.spacing,
            orientation=orientation_of(geometry.direction),
            levels=case.levels,
            shares=shares,
        )


def remarks(looks: Sequence[Look], frame: Frame, description: Description) -> list[str]:
    """Return one sentence for each thing that is odd."""
    flat = description.dimensions == 2
    found = [
        *orientations(looks, frame),
        *(slices(looks) if flat else spacings(looks, frame)),
        *classes(looks, description.classes),
        *labels(looks),
        *patients(looks),
    ]
    if not flat:
        found += far_off(looks, "shows another extent than the others", extent, EXTENTS, " mm")
    return found + intensities(looks)


def orientations(looks: Sequence[Look], frame: Frame) -> Iterator[str]:
    """Say that axes point elsewhere in some cases, and stay so."""
    found = {look.orientation for look in looks}
    if frame.orientation is None and len(found) > 1:
        usual = max(sorted(found), key=[look.orientation for look in looks].count)
        odd = [f"{look.name} ({look.orientation})" for look in looks if look.orientation != usual]
        yield f"orientation differs, and orientation: none leaves it so: {named(odd)}; the others are {usual}"


def spacings(looks: Sequence[Look], frame: Frame) -> list[str]:
    """Say that voxels are of another size in some cases, and stay so."""
    if frame.spacing:
        return []
    return far_off(looks, "has another spacing, and spacing: none leaves it so", spacing, SPACINGS, " mm")


def slices(looks: Sequence[Look]) -> list[str]:
    """Say that slices show more or less than others, as all are resized to the crop."""
    return far_off(looks, "has slices of another size, and all are resized to the crop", in_plane, SLICES, " mm")


def spacing(look: Look) -> tuple[float, ...]:
    """Return mm between voxels along each axis."""
    return look.spacing


def extent(look: Look) -> tuple[float, ...]:
    """Return mm of the volume along each axis."""
    return tuple(n * mm for n, mm in zip(look.size, look.spacing, strict=True))


def in_plane(look: Look) -> tuple[float, ...]:
    """Return mm of a slice along its axes."""
    return extent(look)[1:]


def far_off(
    looks: Sequence[Look], what: str, value: Callable[[Look], tuple[float, ...]], factor: float, unit: str
) -> list[str]:
    """Return a sentence that names the cases one of whose values is further than a factor from the median."""
    values = np.array([value(look) for look in looks])
    usual = np.median(values, axis=0)
    odd = np.maximum(values / usual, usual / values).max(axis=1) > factor
    names = [f"{look.name} ({listed(value(look))}{unit})" for look, far in zip(looks, odd, strict=True) if far]
    return [f"{what}: {named(names)}; the median is {listed(tuple(usual.tolist()))}{unit}"] if names else []


def classes(looks: Sequence[Look], names: tuple[str, ...]) -> Iterator[str]:
    """Say which classes no training label holds, and that validation has nothing to find."""
    for split, consequence in (("train", "nobody can learn it"), ("val", "validation does not see it")):
        shares = [look.shares for look in looks if look.split == split and look.shares is not None]
        missing = (
            [name for name, held in zip(names, np.any(shares, axis=0), strict=True) if not held] if shares else []
        )
        if missing:
            yield f"no {split} label map holds {named(missing)}: {consequence}"


def labels(looks: Sequence[Look]) -> Iterator[str]:
    """Say which label maps are empty, or fill far more or fewer voxels than others."""
    filled = {look.name: sum(look.shares) for look in looks if look.shares is not None}
    if empty := [name for name, share in filled.items() if not share]:
        yield f"no structure at all, taken as it is: {named(empty)}"
    some = {name: share for name, share in filled.items() if share}
    usual = float(np.median(list(some.values()))) if some else 0.0
    odd = [
        f"{name} ({100 * share:.3g} %)"
        for name, share in some.items()
        if share > MOST_FILLED or not 1 / SHARES < share / usual < SHARES
    ]
    if odd:
        yield f"label map of an odd size: {named(odd)} of the voxels; the median is {100 * usual:.3g} %"


def intensities(looks: Sequence[Look]) -> list[str]:
    """Say which images' values lie elsewhere, or are spread far more or less: another unit or another scanner."""
    values = np.array([look.levels for look in looks])
    usual = np.median(values, axis=0)
    odd = [f"{look.name} ({spread(look.levels)})" for look in looks if not similar(look.levels, tuple(usual))]
    return [f"intensities unlike the others': {named(odd)}; the median is {spread(tuple(usual))}"] if odd else []


def patients(looks: Sequence[Look]) -> Iterator[str]:
    """Say which cases of different splits are, by their names, of one patient: "p07_before" and "p07_after"."""
    keys = {look.name: match[0] for look in looks if (match := PATIENT.match(look.name))}
    # Where few names begin differently, the number is a site's or a study's.
    if 4 * len(set(keys.values())) < len(looks):
        return
    by_key: dict[str, list[Look]] = {}
    for look in looks:
        by_key.setdefault(keys.get(look.name, look.name), []).append(look)
    for same in by_key.values():
        if len({look.split for look in same}) > 1 and len({look.group for look in same}) > 1:
            names = named([f"{look.name} ({look.split})" for look in same])
            yield f"by their names of one patient, but in several splits: {names}; a column group would say so"


def named(names: Sequence[str]) -> str:
    """Return a list of names, the first ones if they are many."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
