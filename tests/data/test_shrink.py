"""Volumes at a lower resolution, against closed forms and scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean

from m3hl.data.case import Case
from m3hl.data.shrink import repeated, shrink_case, shrink_image, shrink_label

THREE = [st.integers(1, 9)] * 3


def test_an_image_becomes_the_means_of_its_blocks(rng):
    image = rng.random((6, 9, 4), np.float32)
    small = shrink_image(image, (2, 3, 1))
    assert (small.shape, small.dtype) == ((3, 3, 4), np.float32)
    np.testing.assert_allclose(small, downscale_local_mean(image, (2, 3, 1)), rtol=1e-6)


def test_a_border_block_repeats_the_last_voxels():
    image = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    assert shrink_image(image, (2, 1, 1)).ravel().tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("block", "expected"),
    [([0, 0, 0, 1], 0), ([0, 0, 1, 1], 1), ([0, 1, 2, 2], 2), ([1, 1, 2, 2], 2), ([3, 0, 0, 1], 0)],
)
def test_a_block_takes_its_most_frequent_label(block, expected):
    label = np.array(block, np.uint8).reshape(2, 2, 1)
    small = shrink_label(label, (2, 2, 1))
    assert (small.dtype, small.tolist()) == (np.uint8, [[[expected]]])


@settings(max_examples=50)
@given(st.tuples(*THREE), st.tuples(*THREE), st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_labels_are_never_invented_and_shapes_fit(shape, factors, seed, classes):
    label = np.random.default_rng(seed).integers(0, classes + 1, shape).astype(np.uint8)
    small = shrink_label(label, factors)
    expected = tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    assert small.shape == shrink_image(label.astype(np.float32), factors).shape == expected
    assert set(np.unique(small)) <= set(np.unique(label))


@pytest.mark.parametrize(("split", "shape"), [("train", (2, 2, 2)), ("val", (4, 4, 4)), ("test", (4, 4, 4))])
def test_what_is_measured_keeps_its_grid(split, shape):
    case = Case("a", "a", split, np.ones((4, 4, 4), np.float32), np.ones((4, 4, 4), np.uint8), None)
    small = shrink_case(case, (2, 2, 2))
    assert small.image.shape == (2, 2, 2)
    assert small.label.shape == shape
    assert shrink_case(case, None) is case


def test_a_repeated_image_shows_what_was_shrunk():
    image = np.arange(6, dtype=np.float32).reshape(3, 2, 1)
    large = repeated(image, (2, 1, 3), (5, 2, 2))
    assert large.shape == (5, 2, 2)
    np.testing.assert_array_equal(large[:, :, 0], [[0, 1], [0, 1], [2, 3], [2, 3], [4, 5]])
    np.testing.assert_array_equal(shrink_image(repeated(image, (2, 2, 2), (6, 4, 2)), (2, 2, 2)), image)
    assert repeated(image, None, image.shape).shape == image.shape
