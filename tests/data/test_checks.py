"""What must hold for a case: every check fires on the one thing that it is for."""

import numpy as np
import pytest

from m3hl.data.checks import check_image, check_label
from m3hl.errors import UserError

GOOD = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (GOOD[0], "expected three axes"),
        (GOOD[:0], "expected three axes"),
        (np.where(GOOD == 5, np.nan, GOOD), "1 voxels of the image are NaN or infinite"),
        (np.where(GOOD > 20, np.inf, GOOD), "3 voxels of the image are NaN or infinite"),
        (np.full((2, 3, 4), 7), "every voxel of the image is 7"),
    ],
)
def test_images_that_cannot_be_used(image, message):
    check_image(GOOD, "file")
    with pytest.raises(UserError, match=f"^file: .*{message}"):
        check_image(image, "file")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("values", [(0, 1, 2), (0, 100, 200)])
def test_label_values_become_consecutive(dtype, values):
    numbers = (np.arange(24) % 3).reshape(2, 3, 4)
    label = check_label(np.array(values)[numbers].astype(dtype), (2, 3, 4), values, "file")
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, numbers)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.ones((2, 3, 5)), r"shape \(2, 3, 5\), the image \(2, 3, 4\)"),
        (np.full((2, 3, 4), 3), "holds 3, expected only 0, 1, 2"),
        (np.full((2, 3, 4), -1), "holds -1, expected only 0, 1, 2"),
        (np.full((2, 3, 4), 0.5), "holds 0.5, expected only .* nearest neighbour"),
        (np.full((2, 3, 4), 0.99, np.float32), "holds 0.99000001, expected only"),
        (np.full((2, 3, 4), 1.0000001e6), "holds 1000000.1, expected only"),
        (np.full((2, 3, 4), np.nan), "holds nan, expected only"),
        (np.zeros((2, 3, 4)), "is empty"),
    ],
)
def test_label_maps_that_cannot_be_used(label, message):
    with pytest.raises(UserError, match=f"^file: .*{message}"):
        check_label(label, (2, 3, 4), (0, 1, 2), "file")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_resampling_left_beside_whole_numbers_are_rounded(dtype):
    numbers = (np.arange(24) % 3).reshape(2, 3, 4)
    read = np.array([-1e-9, 0.99999994, 2.0009])[numbers].astype(dtype)
    np.testing.assert_array_equal(check_label(read, (2, 3, 4), (0, 1, 2), "file"), numbers)


def test_a_case_without_any_structure_may_be_allowed():
    assert not check_label(np.zeros((2, 3, 4)), (2, 3, 4), (0, 1), "file", may_be_empty=True).any()
