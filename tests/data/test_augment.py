"""Augmentation: one gather does what rot90, flip, rotate, zoom and slicing do, to image and label alike."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from m3hl.data.augment import MAX_ANGLE, View, nearest_index, rotation, slice_view, turn_and_flip, volume_view
from m3hl.data.gather import gather, pack

PLANES = [(6, 6), (5, 8), (9, 4), (1, 7)]


def flat(*arrays):
    return torch.cat([torch.from_numpy(array.copy()).flatten() for array in arrays])


class Scripted:
    """Stands in for a random generator and returns the given values in turn."""

    def __init__(self, *values):
        self.values = list(values)

    def random(self):
        return self.values.pop(0)

    def uniform(self, low, high):
        value = self.values.pop(0)
        assert low <= value <= high
        return value

    def integers(self, high):
        value = self.values.pop(0)
        assert 0 <= value < high
        return value


def seen(image, view):
    """Return what `view` shows of an image, after checking that its label map moves with it."""
    labels = (np.arange(image.size) % 251).astype(np.uint8).reshape(image.shape)
    packed, crop = pack([view], [image.shape], [0]), tuple(len(z) for z in view.coordinates)
    images, moved = gather(flat(image)[None], flat(labels), packed, crop)
    (as_image,), _ = gather(flat(labels.astype(np.float32))[None], None, packed, crop)
    np.testing.assert_array_equal(moved[0], as_image[0])
    return images[0, 0].numpy()


def noise(shape):
    """Return an image without zeros, so that zeros are known to come from outside."""
    return np.random.default_rng(3).uniform(1, 2, shape).astype(np.float32)


def zoomed(image, size):
    return ndimage.zoom(image, [out / n for n, out in zip(image.shape, size, strict=True)], order=0)


@pytest.mark.parametrize("shape", PLANES)
@pytest.mark.parametrize(("quarters", "axis"), list(product(range(4), range(2))))
def test_turn_and_flip_is_rot90_then_flip(shape, quarters, axis):
    matrix, offset, turned = turn_and_flip(Scripted(quarters, axis), shape)
    view = View(matrix, offset, tuple(np.arange(n, dtype=float) for n in turned))
    image = noise(shape)
    np.testing.assert_array_equal(seen(image, view), np.flip(np.rot90(image, quarters), axis))


@pytest.mark.parametrize("shape", [(40, 40), (31, 44), (52, 25)])
@pytest.mark.parametrize("degrees", [-20, -13.7, -0.3, 0, 4.1, 11, 20])
def test_rotation_is_that_of_scipy_with_zeros_outside(shape, degrees):
    image = noise(shape)
    view = View(*rotation(degrees, shape), tuple(np.arange(n, dtype=float) for n in shape))
    actual = seen(image, view)
    np.testing.assert_array_equal(actual, ndimage.rotate(image, degrees, order=0, reshape=False))
    assert (actual == 0).any() == (degrees != 0)


@pytest.mark.parametrize("n_in", [1, 2, 5, 16, 31, 154, 216, 428])
@pytest.mark.parametrize("n_out", [1, 2, 7, 16, 32, 64, 256])
def test_resizing_an_axis_is_zoom_of_order_0(n_in, n_out):
    line = np.arange(n_in)
    np.testing.assert_array_equal(line[nearest_index(n_in, n_out)], zoomed(line, [n_out]))


@pytest.mark.parametrize(("shape", "crop"), [((20, 33), (32, 32)), ((50, 37), (16, 48)), ((32, 32), (32, 32))])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ((0.49, 0, 0), lambda image: np.flip(image, 0)),
        ((0.49, 1, 1), lambda image: np.flip(np.rot90(image), 1)),
        ((0.0, 3, 0), lambda image: np.flip(np.rot90(image, 3), 0)),
        ((0.5, 0.49, 17.3), lambda image: ndimage.rotate(image, 17.3, order=0, reshape=False)),
        ((0.5, 0.0, -8.9), lambda image: ndimage.rotate(image, -8.9, order=0, reshape=False)),
        ((0.5, 0.5), lambda image: image),
    ],
)
def test_a_slice_is_augmented_first_and_resized_then(shape, crop, script, expected):
    image = noise(shape)
    actual = seen(image, slice_view(Scripted(*script), shape, crop))
    np.testing.assert_array_equal(actual, zoomed(expected(image), crop))


def test_half_of_the_slices_are_turned_and_a_quarter_rotated():
    rng, counts, angles = np.random.default_rng(11), {"turned": 0, "rotated": 0, "as it is": 0}, []
    for _ in range(4000):
        matrix = slice_view(rng, (8, 8), (16, 16)).matrix
        if np.linalg.det(matrix) < 0:
            counts["turned"] += 1
        elif (matrix == np.eye(2)).all():
            counts["as it is"] += 1
        else:
            counts["rotated"] += 1
            angles.append(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
    assert stats.chisquare(list(counts.values()), [2000, 1000, 1000]).pvalue > 1e-3
    assert stats.kstest(angles, stats.uniform(-MAX_ANGLE, 2 * MAX_ANGLE).cdf).pvalue > 1e-3


def test_every_turn_and_flip_is_equally_likely():
    rng, counts = np.random.default_rng(12), {}
    for _ in range(4000):
        key = tuple(turn_and_flip(rng, (8, 8))[0].ravel())
        counts[key] = counts.get(key, 0) + 1
    # Eight pairs make four different maps, as a half turn and one flip are the other flip.
    assert len(counts) == 4
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize(("quarters", "axis"), [(0, 0), (1, 1), (2, 0), (3, 1)])
@pytest.mark.parametrize(
    ("shape", "crop", "starts"),
    [
        ((8, 9, 10), (4, 4, 4), (2, 4, 6)),
        ((8, 8, 8), (8, 8, 8), (0, 0, 0)),
        ((8, 8, 7), (4, 4, 10), (4, 0, None)),
        ((5, 5, 3), (9, 10, 6), (None, None, None)),
    ],
)
def test_a_volume_is_turned_and_then_cropped_with_zeros_around_it(quarters, axis, shape, crop, starts):
    image = noise(shape)
    drawn = [start for start in starts if start is not None]
    actual = seen(image, volume_view(Scripted(quarters, axis, *drawn), shape, crop))

    whole = np.flip(np.rot90(image, quarters, axes=(0, 1)), axis)
    missing = [max(out - n, 0) for n, out in zip(whole.shape, crop, strict=True)]
    padded = np.pad(whole, [(m // 2, m - m // 2) for m in missing])
    window = tuple(slice(start or 0, (start or 0) + out) for start, out in zip(starts, crop, strict=True))
    np.testing.assert_array_equal(actual, padded[window])


def test_every_place_of_a_crop_is_equally_likely():
    rng, counts = np.random.default_rng(13), np.zeros((3, 1, 5), int)
    for _ in range(3000):
        # The plane is square, so turning it changes no extent.
        corner = [int(c[0]) for c in volume_view(rng, (6, 6, 9), (4, 6, 5)).coordinates]
        counts[corner[0], corner[1], corner[2]] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_images_of_several_sizes_are_gathered_from_one_pool():
    images = [noise((4, 5)), noise((7, 3)) + 10, noise((6, 6)) + 20]
    labels = [np.full(image.shape, number, np.uint8) for number, image in enumerate(images)]
    shapes, starts, order = [image.shape for image in images], [0, 20, 41], [2, 0, 0, 1]
    views = [slice_view(Scripted(0.9, 0.9), shapes[index], (16, 8)) for index in order]
    packed = pack(views, [shapes[index] for index in order], [starts[index] for index in order])
    seen_images, seen_labels = gather(flat(*images)[None], flat(*labels), packed, (16, 8))
    assert (seen_images.shape, seen_images.dtype) == ((4, 1, 16, 8), torch.float32)
    assert (seen_labels.shape, seen_labels.dtype) == ((4, 16, 8), torch.int64)
    for image, label, index in zip(seen_images, seen_labels, order, strict=True):
        np.testing.assert_array_equal(image[0], zoomed(images[index], (16, 8)))
        assert (label == index).all()
