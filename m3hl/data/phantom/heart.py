"""Anatomy and contrast of one synthetic patient of ACDC. Lengths in mm, angles in radians."""

from dataclasses import dataclass, replace

import numpy as np

GROUPS = ("NOR", "DCM", "HCM", "MINF", "RV")
"""ACDC's diagnoses: normal, dilated, hypertrophic, infarcted, abnormal right ventricle."""


@dataclass(frozen=True)
class Heart:
    """One heart; t runs from 0 at the base to 1 at the apex.

    Attributes:
        group: the diagnosis; it shifts the ranges that the others are drawn from.
        center: (y, x) of the left ventricle at half height.
        tilt: how far the center moves from base to apex.
        angle: from the image's left to the direction of the right ventricle.
        cavity: radius of the left ventricle's blood pool at the base.
        wall: thickness of the myocardium.
        taper: share of its radius that the heart has lost at the apex, squared.
        oval, knob: amplitudes of the outline's second and third harmonic, relative to the radius.
        phase: their directions.
        right: radii of the right ventricle across and along the septum.
        skew: how far the right ventricle lies off the septum's middle.
        thin: direction of a thinned wall segment; None without an infarction.
        squeeze: share of the cavity's radius that is left at end systole.
        papillary: (angle, radius) of the two papillary muscles.
    """

    group: str
    center: tuple[float, float]
    tilt: tuple[float, float]
    angle: float
    cavity: float
    wall: float
    taper: float
    oval: float
    knob: float
    phase: tuple[float, float]
    right: tuple[float, float]
    skew: float
    thin: float | None
    squeeze: float
    papillary: tuple[tuple[float, float], ...]

    def contracted(self) -> "Heart":
        """Return the heart at end systole: nearly all of the muscle's area stays, so its wall is thicker."""
        cavity = self.cavity * self.squeeze
        area = (self.cavity + self.wall) ** 2 - self.cavity**2
        wall = np.sqrt(cavity**2 + 0.93 * area) - cavity
        across, along = self.right
        narrow = 0.25 + 0.75 * self.squeeze
        return replace(self, cavity=cavity, wall=wall, right=(across * narrow, along * (0.4 + 0.6 * narrow)))


@dataclass(frozen=True)
class Tissue:
    """Intensities of one scan, about 0 to 1."""

    blood: float
    muscle: float
    lung: float
    fat: float
    liver: float
    skeletal: float


def draw_heart(rng: np.random.Generator) -> Heart:
    """Return a random anatomy."""
    group = str(rng.choice(GROUPS))
    return Heart(
        group=group,
        center=(rng.uniform(-14, 10), rng.uniform(0, 24)),
        tilt=(rng.uniform(-6, 14), rng.uniform(-6, 14)),
        angle=rng.normal(0.1, 0.4),
        cavity=rng.uniform(19, 25) + {"DCM": 7, "HCM": -3}.get(group, 0),
        wall=rng.uniform(7, 10) + {"HCM": 5, "DCM": -1}.get(group, 0),
        taper=rng.uniform(0.62, 0.85),
        oval=rng.uniform(0, 0.1),
        knob=rng.uniform(0, 0.05),
        phase=(rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)),
        right=tuple(rng.uniform((21, 29), (28, 37)) * (1.25 if group == "RV" else 1)),
        skew=rng.uniform(-7, 7),
        thin=rng.uniform(0.6 * np.pi, 1.9 * np.pi) if group == "MINF" else None,
        squeeze=rng.uniform(-0.05, 0.05) + {"DCM": 0.85, "MINF": 0.78}.get(group, 0.6),
        papillary=tuple((a + rng.normal(0, 0.3), rng.uniform(3, 5)) for a in (0.55 * np.pi, 1.35 * np.pi)),
    )


def draw_tissue(rng: np.random.Generator) -> Tissue:
    """Return random intensities; blood and muscle are close in some scans, liver and muscle in most."""
    blood = rng.uniform(0.62, 0.92)
    muscle = blood - rng.uniform(0.17, 0.5)
    return Tissue(
        blood=blood,
        muscle=muscle,
        lung=rng.uniform(0.03, 0.12),
        fat=rng.uniform(0.65, 1.05),
        liver=muscle + rng.uniform(-0.05, 0.2),
        skeletal=muscle + rng.uniform(-0.08, 0.08),
    )
