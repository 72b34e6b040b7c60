"""Intensities: the formulas, and what must stay bit for bit."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from m3hl.data.normalize import minmax, zscore

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)
INTEGERS = hnp.arrays(np.int16, SHAPES, elements=st.integers(-(2**15), 2**15 - 1))


@given(INTEGERS)
def test_minmax_is_the_correctly_rounded_quotient(image):
    assume(image.min() != image.max())
    result = minmax(image)
    numerator = image.astype(np.int64) - int(image.min())
    # An exact quotient of integers below 2**24, rounded once: what float32 division gives.
    expected = numerator.astype(np.float32) / np.float32(numerator.max())
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)))
def test_minmax_leaves_a_volume_that_spans_zero_to_one_bit_for_bit(image):
    image = np.concatenate([image.ravel(), [0, 1]]).astype(np.float32).reshape(-1, 1, 1)
    np.testing.assert_array_equal(minmax(image).view(np.uint32), np.abs(image).view(np.uint32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_minmax_does_not_overflow(dtype):
    kind = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(dtype)
    image = np.array([kind.min, 0, kind.max], dtype).reshape(3, 1, 1)
    result = minmax(image).ravel()
    assert (result[0], result[2]) == (0, 1)
    assert np.isfinite(result).all()


@given(INTEGERS)
def test_zscore_has_mean_zero_and_variance_one(image):
    assume(image.min() != image.max())
    result = zscore(image).astype(np.float64)
    assert abs(result.mean()) < 1e-5
    assert abs(result.std() - 1) < 1e-5
