"""The metrics against medpy, closed forms, and real labels."""

from math import isnan, nan, sqrt

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from medpy.metric import binary
from scipy import ndimage

from m3hl.evaluation.metrics import COLUMNS, ClassMetrics, measure, measure_masks


def assert_equals_medpy(prediction, truth, spacing=None):
    got = measure_masks(prediction, truth, spacing)
    assert got.dice == pytest.approx(100 * binary.dc(prediction, truth), abs=1e-12)
    assert got.jaccard == pytest.approx(100 * binary.jc(prediction, truth), abs=1e-12)
    assert got.hd95 == pytest.approx(binary.hd95(prediction, truth), rel=1e-12)
    assert got.asd == pytest.approx(binary.asd(prediction, truth), rel=1e-12)
    if spacing:
        assert got.hd95_mm == pytest.approx(binary.hd95(prediction, truth, spacing), rel=1e-12)
        assert got.asd_mm == pytest.approx(binary.asd(prediction, truth, spacing), rel=1e-12)


@st.composite
def two_masks(draw):
    """Two masks of one shape in 2D or 3D, neither empty; they may touch every border."""
    shape = draw(st.one_of(npst.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)))
    masks = [draw(npst.arrays(bool, shape)) for _ in range(2)]
    for mask in masks:
        if not mask.any():
            mask[tuple(draw(st.integers(0, n - 1)) for n in shape)] = True
    spacing = tuple(draw(st.floats(0.1, 10)) for _ in shape)
    return *masks, spacing


@given(two_masks())
@settings(max_examples=150)
def test_equals_medpy_on_any_masks(masks):
    assert_equals_medpy(*masks)


@pytest.mark.parametrize("shape", [(40, 37), (20, 24, 18)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_medpy_on_blobs(shape, seed):
    rng = np.random.default_rng(seed)
    prediction, truth = (ndimage.gaussian_filter(rng.standard_normal(shape), 2.5) > 0.02 for _ in range(2))
    assert_equals_medpy(prediction, truth, (0.7, 1.3, 8.0)[: len(shape)])


def full(shape):
    return np.ones(shape, bool)


def voxel(shape, *index):
    mask = np.zeros(shape, bool)
    mask[index] = True
    return mask


def test_full_volumes_and_single_voxels_equal_medpy():
    shape = (6, 5, 4)
    for prediction, truth in [
        (full(shape), full(shape)),
        (full(shape), voxel(shape, 0, 0, 0)),
        (voxel(shape, 5, 4, 3), full(shape)),
        (voxel(shape, 0, 0, 0), voxel(shape, 5, 4, 3)),
    ]:
        assert_equals_medpy(prediction, truth, (1.0, 2.0, 3.0))


def test_two_single_voxels_are_as_far_apart_as_pythagoras_says():
    got = measure_masks(voxel((9, 9), 1, 1), voxel((9, 9), 4, 5), (2.0, 1.0))
    assert got == ClassMetrics(
        dice=0.0, jaccard=0.0, hd95=5.0, asd=5.0, hd95_mm=sqrt(6**2 + 4**2), asd_mm=sqrt(6**2 + 4**2)
    )


def test_a_square_shifted_by_one_voxel():
    prediction, truth = np.zeros((12, 12), bool), np.zeros((12, 12), bool)
    truth[2:7, 2:7] = True
    prediction[3:8, 2:7] = True
    got = measure_masks(prediction, truth)
    assert got.dice == pytest.approx(100 * 20 / 25)
    assert got.jaccard == pytest.approx(100 * 20 / 30)
    # Of 16 surface voxels, the far row (5) is 1 away; of the near row only the three inner ones are.
    assert got.asd == pytest.approx((5 + 3) / 16)
    assert got.hd95 == 1.0
    assert isnan(got.hd95_mm)
    assert isnan(got.asd_mm)


def test_asd_has_a_direction():
    small, large = voxel((9, 9), 4, 4), np.zeros((9, 9), bool)
    large[4, 1:8] = True
    assert measure_masks(small, large).asd == 0.0
    assert measure_masks(large, small).asd == pytest.approx((3 + 2 + 1 + 0 + 1 + 2 + 3) / 7)


def test_missed_spurious_and_absent_structures_are_told_apart():
    truth, prediction = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    truth[0, 0], prediction[3, 3] = 1, 2
    missed, spurious, absent = measure(prediction, truth, ("a", "b", "c"), (1.0, 1.0))
    distances = {"hd95": nan, "asd": nan, "hd95_mm": nan, "asd_mm": nan}
    none = {"missed": False, "spurious": False, "absent": False}
    expected = [
        {"class": "a", "dice": 0.0, "jaccard": 0.0, **distances, **none, "missed": True},
        {"class": "b", "dice": 0.0, "jaccard": 0.0, **distances, **none, "spurious": True},
        {"class": "c", "dice": nan, "jaccard": nan, **distances, **none, "absent": True},
    ]
    np.testing.assert_equal([missed, spurious, absent], expected)
    assert ("case", "group", *missed) == COLUMNS


def test_classes_do_not_disturb_each_other():
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 4, (2, 9, 8, 7))
    for number, row in enumerate(measure(prediction, truth, ("a", "b", "c")), start=1):
        assert row["hd95"] == pytest.approx(binary.hd95(prediction == number, truth == number))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="same shape"):
        measure(np.zeros((2, 3)), np.zeros((3, 2)), ("a",))


def test_equals_medpy_on_a_real_atrium(unpack, tmp_path):
    unpack(tmp_path, "la", "--limit", "1")
    with h5py.File(min(tmp_path.rglob("*.h5"))) as h5:
        truth = h5["label"][()] > 0
    prediction = np.roll(ndimage.binary_erosion(truth, iterations=2), 3, axis=0)
    assert_equals_medpy(prediction, truth, (0.625, 0.625, 0.625))
