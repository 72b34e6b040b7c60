"""Drawing a left atrium and its neighbours. Lengths in mm; x to the patient's left, y to the back, z upwards."""

from dataclasses import dataclass

import numpy as np

from m3hl.data.phantom.shapes import coordinates, ellipsoid, paint, smooth_noise, tube


@dataclass(frozen=True)
class Tube:
    """A vessel, or the atrial appendage: a rounded tube whose radius changes along it."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]


@dataclass(frozen=True)
class Atrium:
    """Anatomy of one left atrium.

    Attributes:
        center: of its body.
        radii: of its body.
        veins: pulmonary veins, from inside the body out to the lungs.
        ostium: share of each vein, from its start, that counts as atrium.
        appendage: two tubes in a row.
    """

    center: np.ndarray
    radii: np.ndarray
    veins: tuple[Tube, ...]
    ostium: tuple[float, ...]
    appendage: tuple[Tube, ...]


def draw_atrium(rng: np.random.Generator) -> Atrium:
    """Return a random anatomy: mostly four pulmonary veins, sometimes a common left trunk or a fifth vein."""
    center = rng.uniform((-8, -4, -7), (8, 10, 7))
    radii = rng.uniform((23, 14, 17), (33, 22, 26))
    places = [(-1, 0.5), (-1, -0.5), (1, 0.5), (1, -0.5)]
    variant = rng.random()
    if variant < 0.15:
        places[2:] = [(1, 0.05)]
    elif variant < 0.3:
        places.append((-1, 0.02))
    veins, ostium = [], []
    for side, height in places:
        start = center + radii * (0.62 * side, 0.35, height + rng.normal(0, 0.07))
        direction = np.array((side, rng.uniform(0.1, 0.7), 0.9 * height + rng.normal(0, 0.2)))
        direction /= np.linalg.norm(direction)
        wide = rng.uniform(5, 8) * (1.25 if height == 0.05 else 1)
        veins.append(Tube(start, start + 60 * direction, (wide, 0.55 * wide)))
        ostium.append((0.38 * radii[0] + rng.uniform(7, 13)) / 60)
    root = center + radii * (0.72, -0.5, 0.25)
    knee = root + rng.uniform((2, -15, -3), (10, -8, 8))
    tip = knee + rng.uniform((-8, -14, -8), (8, -5, 8))
    wide = rng.uniform(6, 9)
    appendage = (Tube(root, knee, (wide, 0.85 * wide)), Tube(knee, tip, (0.9 * wide, 0.5 * wide)))
    return Atrium(center, radii, tuple(veins), tuple(ostium), appendage)


def draw_scan(
    rng: np.random.Generator, atrium: Atrium, shape: tuple[int, int, int], spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a scan without shading, blur and noise, and the atrium's mask.

    Args:
        rng: draws the neighbours, the bends and the contrast.
        atrium: anatomy.
        shape: (X, Y, Z), voxels.
        spacing: mm, equal along all axes.

    Returns:
        image: float (X, Y, Z), about 0 to 1.
        mask: bool (X, Y, Z).
    """
    points = coordinates(shape, (spacing,) * 3)
    points = [p + 2.5 * smooth_noise(rng, shape, 12 / spacing) for p in points]
    patches = smooth_noise(rng, shape, 7 / spacing)
    blood = rng.uniform(0.5, 0.8)
    muscle = blood - rng.uniform(0.22, 0.4)
    image = draw_neighbours(rng, points, atrium, (blood, muscle), patches, spacing)

    body = ellipsoid(points, tuple(atrium.center), tuple(atrium.radii))
    # A shallow dent where the aorta's root leans against the front.
    dent = ellipsoid(points, tuple(atrium.center + atrium.radii * (-0.15, -1.15, 0.3)), (15, 8, 13))
    label = body = np.maximum(body, -dent)
    vessels = body
    for vein, share in zip(atrium.veins, atrium.ostium, strict=True):
        distance, along = tube(points, vein.start, vein.end, vein.radii)
        vessels = np.minimum(vessels, distance)
        label = np.minimum(label, np.where(along < share, distance, np.inf))
    for part in atrium.appendage:
        distance, _ = tube(points, part.start, part.end, part.radii)
        vessels, label = np.minimum(vessels, distance), np.minimum(label, distance)
    # Gadolinium stays in scars, so parts of the wall are brighter than blood.
    scar = np.clip(patches - 0.4, 0, 1)
    wall = muscle + scar * (1.05 - muscle)
    image = paint(image, vessels - 2.5, wall, spacing)
    image = paint(image, vessels, blood * (1 + 0.05 * patches), spacing)
    return image * (1 + 0.05 * smooth_noise(rng, shape, 1.2)), label < 0


def draw_neighbours(
    rng: np.random.Generator,
    points: list[np.ndarray],
    atrium: Atrium,
    contrast: tuple[float, float],
    patches: np.ndarray,
    edge: float,
) -> np.ndarray:
    """Return lungs, mediastinum, other chambers, great vessels, oesophagus and spine, (X, Y, Z)."""
    blood, muscle = contrast
    fat = rng.uniform(0.3, 0.6)

    def near(*offset: float) -> np.ndarray:
        return atrium.center + np.array(offset) + rng.normal(0, 3, 3)

    image = np.full(points[0].shape, rng.uniform(0.04, 0.12))
    middle = ellipsoid(points, tuple(near(-4, -12, 0)), tuple(rng.uniform((42, 40, 80), (56, 52, 110))))
    image = paint(image, middle - 3 * patches, fat, edge)
    spine = tube(points, near(-4, 52, -80), near(-4, 52, 80), (17, 17))[0]
    image = paint(image, spine, rng.uniform(0.25, 0.6), edge)
    chest = np.abs(points[1]) - rng.uniform(50, 58)
    image = paint(image, -chest, rng.uniform(0.3, 0.7), edge)

    reach = atrium.radii
    chambers = (
        ellipsoid(points, tuple(near(-reach[0] - 10, -18, -8)), tuple(rng.uniform((17, 19, 20), (23, 26, 28)))),
        ellipsoid(points, tuple(near(16, -reach[1] - 18, -reach[2] - 12)), tuple(rng.uniform(22, 30, 3))),
        tube(points, near(-6, -reach[1] - 11, -10), near(-14, -reach[1] - 14, 60), (13, 14))[0],
        tube(points, near(8, -reach[1] - 20, 10), near(22, 0, reach[2] + 17), (11, 10))[0],
        tube(points, near(reach[0] - 8, reach[1] + 15, -80), near(reach[0] - 8, reach[1] + 15, 80), (10, 10))[0],
        tube(points, near(-reach[0] - 6, -4, 15), near(-reach[0] - 4, -8, 70), (8, 8))[0],
    )
    for chamber in chambers:
        value = blood + rng.normal(0, 0.05)
        image = paint(image, chamber - rng.uniform(2, 4), muscle, edge)
        image = paint(image, chamber, value, edge)
    gullet = tube(points, near(4, reach[1] + 8, -80), near(2, reach[1] + 8, 80), (6, 6))[0]
    return paint(paint(image, gullet, muscle + 0.05, edge), gullet + 4, blood - 0.1, edge)
