"""Volumes at another spacing: extents, values and labels, against closed forms and scikit-image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from m3hl.data.case import Case, Geometry
from m3hl.data.frame import Frame
from m3hl.data.resample import resample_case, resample_image, resample_label
from m3hl.errors import UserError

GEOMETRY = Geometry((1.0, 1.0, 8.0), (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1), (0, 1, 2), (0,) * 3, (6, 6, 4))
SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


@pytest.mark.parametrize("shape", [(6, 9, 4), (12, 9, 5), (3, 3, 2), (9, 4, 1)])
def test_images_are_those_of_scikit_image(rng, shape):
    image = rng.random((6, 9, 4), np.float32)
    ours = resample_image(image, shape)
    theirs = resize(image, shape, order=1, mode="edge", anti_aliasing=True)
    assert (ours.shape, ours.dtype) == (shape, np.float32)
    np.testing.assert_allclose(ours, theirs, atol=0.03)


def test_positions_stay_where_they_are():
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (3, 4, 8)).copy()
    finer = resample_image(ramp, (3, 4, 16))
    np.testing.assert_allclose(finer[1, 1, 1:-1], (np.arange(1, 15) + 0.5) / 2 - 0.5, atol=1e-6)
    np.testing.assert_allclose(finer[1, 1, [0, -1]], [0, 7], atol=1e-6)


@settings(max_examples=40)
@given(SHAPES, SHAPES, st.integers(0, 2**32 - 1))
def test_labels_are_never_invented_and_constants_stay(shape, other, seed):
    label = np.random.default_rng(seed).choice([0, 1, 7], shape).astype(np.uint8)
    found = resample_label(label, other)
    assert (found.shape, found.dtype) == (other, np.uint8)
    assert set(np.unique(found)) <= set(np.unique(label))
    np.testing.assert_allclose(resample_image(np.full(shape, 3, np.float32), other), 3, rtol=1e-5)


def test_a_box_keeps_its_place_when_it_becomes_finer_and_coarser():
    label = np.zeros((8, 8, 4), np.uint8)
    label[2:6, 2:6, 1:3] = 2
    fine = resample_label(label, (16, 16, 8))
    assert {tuple(axis.nonzero()[0][[0, -1]]) for axis in (fine.any((1, 2)), fine.any((0, 2)))} == {(4, 11)}
    np.testing.assert_array_equal(resample_label(fine, (8, 8, 4)), label)


@pytest.mark.parametrize(("split", "shape"), [("train", (6, 6, 16)), ("val", (6, 6, 4)), ("test", (6, 6, 4))])
def test_what_is_measured_keeps_its_grid(split, shape):
    case = Case("a", "a", split, np.ones((6, 6, 4), np.float32), np.ones((6, 6, 4), np.uint8), GEOMETRY)
    done = resample_case(case, Frame("LPS", (1.0, 1.0, 2.0)))
    assert done.image.shape == (6, 6, 16)
    assert done.label.shape == shape
    assert done.notes == ("1×1×8 to 1×1×2 mm (6×6×4 to 6×6×16 voxels)",)


def test_a_case_that_has_the_spacing_is_not_touched():
    case = Case("a", "a", "train", np.ones((6, 6, 4), np.float32), None, GEOMETRY)
    assert resample_case(case, Frame("LPS")) is case
    assert resample_case(case, Frame(None, (1.01, 1.0, 8.0))) is case


def test_an_absurd_spacing_is_refused():
    far = replace(GEOMETRY, spacing=(1e6, 1e6, 1e6))
    case = Case("a", "a", "train", np.ones((6, 6, 4), np.float32), None, far)
    with pytest.raises(UserError, match=r"a: 1e.06.* would make .* voxels; set spacing"):
        resample_case(case, Frame(None, (1.0, 1.0, 1.0)))
