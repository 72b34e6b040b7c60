"""Drawing a short-axis stack of a heart and what lies around it. Lengths in mm, slices from base to apex."""

import numpy as np

from m3hl.data.phantom.heart import Heart, Tissue
from m3hl.data.phantom.shapes import coordinates, ellipsoid, paint, smooth_noise, turned

BACKGROUND, RIGHT, MUSCLE, LEFT = range(4)
Plane = tuple[np.ndarray, np.ndarray]


def draw_stack(
    rng: np.random.Generator,
    heart: Heart,
    tissue: Tissue,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return a stack without shading, blur and noise, and its label map.

    Args:
        rng: draws what is not the heart itself; equal for both frames of a patient.
        heart: anatomy in the frame's state.
        tissue: intensities.
        shape: (Z, H, W), voxels.
        spacing: mm along these axes.

    Returns:
        image: float (Z, H, W), about 0 to 1.
        label: uint8 (Z, H, W), ACDC's labels.
    """
    y, x = coordinates(shape[1:], spacing[1:])
    bends = [smooth_noise(rng, shape, (shape[0] / 2, *(n / 9 for n in shape[1:]))) for _ in range(2)]
    texture = smooth_noise(rng, shape, (0.6, 1.2, 1.2))
    patches = smooth_noise(rng, shape, (1.5, 4, 4))
    surroundings = Surroundings(rng)
    breath = rng.normal(0, 1.2, (shape[0], 2))
    image, label = np.zeros(shape), np.zeros(shape, np.uint8)
    for k in range(shape[0]):
        t = (k + 0.5) / shape[0]
        plane = (y + 2.5 * bends[0][k] - breath[k, 0], x + 2.5 * bends[1][k] - breath[k, 1])
        image[k] = surroundings.draw(plane, t, tissue, spacing[1])
        image[k], label[k] = draw_heart_slice(image[k], plane, t, heart, tissue, spacing[1], patches[k])
    return image * (1 + 0.05 * texture), label


class Surroundings:
    """Chest wall, lungs with vessels, liver, stomach and descending aorta of one patient."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.chest = rng.uniform((84, 96), (98, 120))
        self.fat, self.wall = rng.uniform(4, 12), rng.uniform(7, 13)
        self.liver = (rng.uniform(48, 72), rng.uniform(-75, -35), *rng.uniform((34, 45), (48, 65)))
        self.stomach = (rng.uniform(52, 75), rng.uniform(30, 75), *rng.uniform((16, 16), (28, 32)))
        self.stomach_value = rng.uniform(0.25, 0.95)
        self.aorta = (rng.uniform(34, 56), rng.uniform(48, 66), rng.uniform(8, 12))
        self.vessels = rng.uniform((-75, -85, 1.5, 0.3), (70, 85, 5, 0.9), (9, 4))

    def draw(self, plane: Plane, t: float, tissue: Tissue, edge: float) -> np.ndarray:
        """Return one slice, (H, W), at height t; `edge` is the width of a border in mm."""
        chest = ellipsoid(list(plane), (0, 0), tuple(self.chest))
        image = np.full(plane[0].shape, 0.01)
        image = paint(image, chest, tissue.fat, edge)
        image = paint(image, chest + self.fat, tissue.skeletal, edge)
        image = paint(image, chest + self.fat + self.wall, tissue.lung, edge)
        inside = chest + self.fat + self.wall
        for y, x, radius, value in self.vessels:
            vessel = ellipsoid(list(plane), (y + 14 * t, x), (radius, radius * 1.3))
            image = paint(image, np.maximum(vessel, inside), value * tissue.blood, edge)
        # The diaphragm rises towards the apex.
        y, x, high, wide = self.liver
        liver = ellipsoid(list(plane), (y - 22 * (t - 0.5), x), (high, wide))
        image = paint(image, np.maximum(liver, inside), tissue.liver, edge)
        y, x, high, wide = self.stomach
        stomach = ellipsoid(list(plane), (y - 18 * (t - 0.5), x), (high, wide))
        image = paint(image, np.maximum(stomach, inside), self.stomach_value, edge)
        y, x, radius = self.aorta
        aorta = ellipsoid(list(plane), (y, x), (radius, radius))
        image = paint(image, aorta - 1.5, tissue.skeletal, edge)
        return paint(image, aorta, tissue.blood, edge)


def draw_heart_slice(
    image: np.ndarray, plane: Plane, t: float, heart: Heart, tissue: Tissue, edge: float, patches: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a slice with the heart drawn over it, and the slice's label map.

    Args:
        image: surroundings, (H, W).
        plane: coordinates y and x in mm, (H, W) each.
        t: height, 0 at the base, 1 at the apex.
        heart, tissue: anatomy and intensities.
        edge: width of a border, mm.
        patches: slow noise of standard deviation 1, (H, W), for fat and trabeculae.
    """
    center = [c + d * (t - 0.5) for c, d in zip(heart.center, heart.tilt, strict=True)]
    v, u = plane[0] - center[0], center[1] - plane[1]
    u, v = turned(u, v, heart.angle)
    radius, phi = np.hypot(u, v), np.arctan2(v, u)
    outline = np.sqrt(1 - heart.taper * t**2) * (
        1 + heart.oval * np.cos(2 * (phi - heart.phase[0])) + heart.knob * np.cos(3 * (phi - heart.phase[1]))
    )
    thin = 0.0 if heart.thin is None else 0.5 * np.exp(3 * (np.cos(phi - heart.thin) - 1))
    size = heart.cavity + heart.wall
    outer = radius - size * outline
    inner = outer + heart.wall * (1 + 0.12 * np.cos(phi - heart.phase[1])) * (1 - thin)

    narrow = np.sqrt(max(1 - (t / 0.96) ** 2, 0.0))
    across, along = (r * (0.15 + 0.85 * narrow) for r in heart.right)
    place = size * np.sqrt(1 - heart.taper * t**2) + 0.22 * across - (1 - narrow) * 6
    right = ellipsoid([u, v], (place, heart.skew * narrow), (across, along))
    right = np.maximum(right, -outer) if narrow > 0.3 else np.full_like(u, np.inf)

    heart_edge = np.minimum(outer, right)
    image = paint(image, heart_edge - 6 - 2 * patches, 0.5 * (tissue.lung + tissue.fat), edge)
    image = paint(image, heart_edge - 4.5 - 3 * patches, tissue.fat, edge)
    image = paint(image, right - 3, tissue.muscle, edge)
    image = paint(image, right, tissue.blood * (1 + 0.06 * patches), edge)
    image = paint(image, np.maximum(right, -right - 7 - 2 * patches), tissue.blood - 0.12, edge)
    image = paint(image, outer, tissue.muscle, edge)
    image = paint(image, inner, tissue.blood, edge)
    if 0.2 < t < 0.85:
        reach = max(heart.cavity * np.sqrt(1 - heart.taper * t**2), 0.0)
        for angle, thick in heart.papillary:
            at = (0.68 * reach * np.cos(angle), 0.68 * reach * np.sin(angle))
            muscle = ellipsoid([u, v], at, (min(thick, 0.3 * reach),) * 2)
            image = paint(image, np.maximum(muscle, inner), tissue.muscle, edge)

    label = np.full(image.shape, BACKGROUND, np.uint8)
    label[right < 0] = RIGHT
    label[outer < 0] = MUSCLE
    label[inner < 0] = LEFT
    return image, label
