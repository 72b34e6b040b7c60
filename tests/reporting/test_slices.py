"""Cut-outs, pictures and outlines of slices."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.measure import approximate_polygon, find_contours

from m3hl.reporting.figures.outlines import distances_to, outline, simplify
from m3hl.reporting.figures.pictures import grey, jpeg, png
from m3hl.reporting.figures.slices import choose_cut, choose_slices, fullest, stack, window


def rings(path):
    """Return the corners (x, y) of every ring of an outline."""
    parts = [np.array(re.findall(r"-?[\d.]+", part), float).reshape(-1, 2) for part in path.split("Z")[:-1]]
    return [np.cumsum(part, axis=0) for part in parts]


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.fixture
def truth():
    """Return label maps whose fullest slice is not the widest one."""
    truth = np.zeros((12, 200, 220), np.uint8)
    truth[4, 40:60, 70:90] = 1
    truth[5, 40:60, 70:110] = 2
    truth[6, 80:81, 70:90] = 1
    return truth


def test_volumes_are_shown_with_x_to_the_right():
    volume = np.zeros((4, 3, 2))
    volume[3, 0, 1] = 1
    assert stack(volume, 3).shape == (2, 3, 4)
    assert stack(volume, 3)[1, 0, 3] == 1
    assert stack(volume, 2) is volume


def test_the_cut_is_a_square_around_the_structures_of_all_slices(truth):
    part = truth[choose_cut(truth)]
    assert np.count_nonzero(part) == np.count_nonzero(truth)
    assert part.shape == (12, 62, 62)  # 41 rows, and a quarter of them on either side


def test_the_fullest_slice_has_most_truth(truth):
    assert fullest(truth) == 5


def test_without_truth_everything_is_shown():
    nothing = np.zeros((5, 64, 70), np.uint8)
    assert nothing[choose_cut(nothing)].shape == (5, 64, 70)
    assert fullest(nothing) == 2
    assert list(choose_slices(nothing, 1)) == [0, 1, 2, 3, 4]
    assert list(choose_slices(nothing, 2)) == [0, 2, 4]


def test_few_slices_are_all_shown_and_of_many_those_around_the_structures(truth):
    assert list(choose_slices(truth, 1)) == list(range(12))
    assert list(choose_slices(np.concatenate([truth] + [truth * 0] * 4), 1)) == [3, 4, 5, 6, 7]


@given(st.integers(1, 90), st.integers(0, 89), st.integers(0, 89), st.integers(1, 40))
def test_slices_are_even_and_hold_the_fullest_one(size, first, last, step):
    truth = np.zeros((size, 2, 2), np.uint8)
    truth[min(first, last) : max(first, last) + 1, 0] = 1
    truth[min(first, size - 1)] = 1
    chosen = list(choose_slices(truth, step))
    assert fullest(truth) in chosen
    assert 0 <= chosen[0] <= chosen[-1] < size
    assert set(np.diff(chosen)) <= {step}


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 100))
def test_a_window_lies_inside(center, side, size):
    found = window(min(center, size - 1), side, size)
    assert 0 <= found.start < found.stop <= size
    assert found.stop - found.start == min(side, size)
    assert found.start <= min(center, size - 1) <= found.stop


def test_an_outline_runs_half_a_pixel_around_its_pixel():
    labels = np.zeros((4, 4), np.uint8)
    labels[1, 2] = 1
    (ring,) = rings(outline(labels))
    assert {tuple(point) for point in ring} == {(2.5, 1), (2.5, 2), (2, 1.5), (3, 1.5)}
    labels[0, 0] = 2
    assert len(rings(outline(labels))) == 2
    assert outline(np.zeros((4, 4), np.uint8)) == ""


def test_an_outline_of_a_rectangle_has_only_its_corners():
    labels = np.zeros((30, 40), np.uint8)
    labels[10:20, 5:35] = 3
    (ring,) = rings(outline(labels))
    assert len(ring) == 8  # each corner is cut by half a pixel
    assert (ring.min(0).tolist(), ring.max(0).tolist()) == ([5, 10], [35, 20])


@pytest.mark.parametrize("seed", range(5))
def test_outlines_enclose_the_mask(seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((60, 50)), 4)
    mask = noise > np.quantile(noise, 0.7)
    inside = np.zeros(mask.shape, bool)
    for ring in rings(outline(mask.astype(np.uint8))):
        inside ^= polygon2mask(mask.shape, ring[:, ::-1] - 0.5)  # from corners back to centres; holes take away
    assert np.array_equal(inside, mask)


def test_simplified_outlines_stay_close_and_are_as_short_as_those_of_scikit_image():
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((90, 80)), 4)
    for ring in find_contours(np.pad(noise > 0, 1).astype(float), 0.5):
        found, expected = simplify(ring, 0.3), approximate_polygon(ring, 0.3)
        assert len(found) <= 1.1 * len(expected)
        nearest = [
            distances_to(np.broadcast_to(point, found[1:].shape), found[:-1], found[1:]).min() for point in ring
        ]
        assert max(nearest) <= 0.3 + 1e-9


def test_grey_values_are_stretched_over_all_slices_alike():
    image = np.stack([np.linspace(-3, 9, 200).reshape(10, 20), np.full((10, 20), 3.0)])
    shown = grey(image)
    assert (shown.dtype, shown.min(), shown.max()) == (np.uint8, 0, 255)
    assert np.all(np.diff(shown[0].ravel().astype(int)) >= 0)
    assert set(shown[1].ravel()) <= {127, 128}
    assert not grey(np.ones((3, 3))).any()


def test_png_keeps_every_pixel():
    image = np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert png(image).startswith("data:image/png;base64,")
    assert np.array_equal(decoded(png(image)), image)


def test_jpeg_shrinks_what_is_too_wide_and_nothing_else():
    image = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    assert jpeg(image, 50).startswith("data:image/jpeg;base64,")
    assert decoded(jpeg(image, 50)).shape == (25, 50)
    same = decoded(jpeg(image, 200))
    assert np.abs(same.astype(int) - image).max() < 8
