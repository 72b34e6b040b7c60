"""What the images were like that a network was trained on, so that one can tell which others are unlike them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from m3hl.data.case import Geometry
from m3hl.data.frame import listed
from m3hl.data.store import CaseInfo

RANGES = 5.0
"""Factor between the ranges of two images' values beyond which they are of another unit or scanner."""
BEYOND = 1.5
"""Factor beyond the training images' spacings from which on another one is worth a word."""


@dataclass(frozen=True)
class Seen:
    """What training images of one's own were like.

    Attributes:
        finest, coarsest: least and greatest mm between voxels, along the axes of arrays.
        levels: medians of `Case.levels`, three for each image of a case.
    """

    finest: tuple[float, float, float]
    coarsest: tuple[float, float, float]
    levels: tuple[float, ...]

    @classmethod
    def of(cls, cases: Iterable[CaseInfo]) -> Self | None:
        """Return what cases were like, None where their store does not tell it."""
        known = [(case.geometry.spacing, case.levels) for case in cases if case.geometry and case.levels]
        if not known:
            return None
        spacings, levels = (np.array(values) for values in zip(*known, strict=True))
        medians = np.median(levels, axis=0)
        return cls(*(tuple(map(float, values)) for values in (spacings.min(0), spacings.max(0), medians)))

    def remarks(self, geometry: Geometry, levels: tuple[float, ...]) -> list[str]:
        """Return in what an image is far from those of training, one phrase each."""
        found = []
        sides = zip(geometry.spacing, self.finest, self.coarsest, strict=True)
        if any(not fine / BEYOND <= mm <= coarse * BEYOND for mm, fine, coarse in sides):
            found.append(
                f"its spacing is {listed(geometry.spacing)} mm, in training it was {listed(self.finest)} to "
                f"{listed(self.coarsest)} mm"
            )
        if not similar(levels, self.levels):
            found.append(
                f"its intensities are {spread(levels)}, in training they were about {spread(self.levels)}"
            )
        return found


def similar(levels: tuple[float, ...], usual: tuple[float, ...]) -> bool:
    """Return whether the values of each image of a case are in the place and of the range that is usual."""
    return all(map(similar_image, by_image(levels), by_image(usual)))


def similar_image(levels: tuple[float, ...], usual: tuple[float, ...]) -> bool:
    """Return whether an image's values are in the place and of the range that is usual."""
    ranges = levels[2] - levels[0], usual[2] - usual[0]
    if min(ranges) <= 0:
        return ranges[0] == ranges[1]
    return max(ranges) / min(ranges) <= RANGES and abs(levels[1] - usual[1]) <= RANGES * ranges[1]


def spread(levels: tuple[float, ...]) -> str:
    """Return the range of each image's values as one reads it.

    >>> spread((0.0, 3.0, 9.0)), spread((0.0, 3.0, 9.0, 1.0, 2.0, 4.0))
    ('0 to 9', '0 to 9 and 1 to 4')
    """
    return " and ".join(f"{one[0]:.4g} to {one[2]:.4g}" for one in by_image(levels))


def by_image(levels: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Return the three levels of each image of a case."""
    return [levels[at : at + 3] for at in range(0, len(levels), 3)]
