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
        levels: medians of `Case.levels`.
    """

    finest: tuple[float, float, float]
    coarsest: tuple[float, float, float]
    levels: tuple[float, float, float]

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
    """Return whether an image's values are in the place and of the range that is usual."""
    ranges = levels[2] - levels[0], usual[2] - usual[0]
    if min(ranges) <= 0:
        return ranges[0] == ranges[1]
    return max(ranges) / min(ranges) <= RANGES and abs(levels[1] - usual[1]) <= RANGES * ranges[1]


def spread(levels: tuple[float, ...]) -> str:
    """Return the range of an image's values as one reads it."""
    return f"{levels[0]:.4g} to {levels[2]:.4g}"
