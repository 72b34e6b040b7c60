"""The largest component of each class, against scikit-image and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from skimage.measure import label

from m3hl.inference.components import largest_component, largest_components
from m3hl.provenance.fingerprint import closure


def by_scikit_image(labels):
    kept = np.zeros_like(labels)
    for c in range(1, labels.max() + 1):
        components = label(labels == c, connectivity=labels.ndim)
        sizes = np.bincount(components.ravel())[1:]
        if sizes.size:
            kept[components == sizes.argmax() + 1] = c
    return kept


def checkerboard(shape):
    return np.indices(shape).sum(0) % 2


def isolated(shape):
    """Return single voxels that do not touch, all of the same size."""
    return (np.indices(shape) % 2 == 0).all(0).astype(int)


def noise(shape, classes, seed=0):
    return np.random.default_rng(seed).integers(0, classes, shape)


@given(npst.arrays(np.int64, npst.array_shapes(min_dims=2, max_dims=3, max_side=8), elements=st.integers(0, 3)))
@settings(max_examples=200)
def test_equals_scikit_image_on_any_labels(labels):
    np.testing.assert_array_equal(largest_component(labels), by_scikit_image(labels))


@pytest.mark.parametrize("shape", [(9, 12), (6, 7, 9)])
@pytest.mark.parametrize("pattern", [np.zeros, np.ones, checkerboard, isolated], ids=lambda f: f.__name__)
def test_equals_scikit_image_on_patterns(pattern, shape):
    labels = pattern(shape).astype(np.int64)
    np.testing.assert_array_equal(largest_component(labels), by_scikit_image(labels))


@pytest.mark.parametrize("shape", [(64, 48), (24, 20, 28)])
@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (4, 1), (7, 2)])
def test_equals_scikit_image_on_noise(shape, classes, seed):
    labels = noise(shape, classes, seed)
    np.testing.assert_array_equal(largest_component(labels), by_scikit_image(labels))


@pytest.mark.parametrize("shape", [(40, 30), (30, 20, 15)])
def test_equals_scikit_image_on_sparse_noise_with_many_ties(shape):
    for seed in range(20):
        labels = noise(shape, 3, seed) * (np.random.default_rng(seed).random(shape) < 0.1)
        np.testing.assert_array_equal(largest_component(labels), by_scikit_image(labels))


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 5)])
def test_of_a_tie_the_first_in_c_order_stays(shape):
    # The last axis runs fastest, so the far corner of the first row comes before the second row.
    labels = np.zeros(shape, int)
    first, second = (0,) * (len(shape) - 1) + (4,), (2,) + (0,) * (len(shape) - 1)
    labels[first] = labels[second] = 1
    kept = largest_component(labels)
    assert (kept[first], kept[second]) == (1, 0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_voxels_that_share_a_corner_are_connected(dimensions):
    labels = np.zeros((3,) * dimensions, int)
    labels[np.diag_indices(3, dimensions)] = 1
    np.testing.assert_array_equal(largest_component(labels), labels)


def test_classes_are_cleaned_apart():
    labels = np.array([[1, 1, 2, 0, 1], [0, 0, 2, 2, 0], [2, 0, 0, 0, 3]])
    expected = np.array([[1, 1, 2, 0, 0], [0, 0, 2, 2, 0], [0, 0, 0, 0, 3]])
    np.testing.assert_array_equal(largest_component(labels), expected)


def test_samples_are_cleaned_apart_and_keep_shape_and_type():
    labels = torch.from_numpy(noise((3, 20, 24), 4))
    kept = largest_components(labels)
    assert (kept.shape, kept.dtype) == (labels.shape, torch.int64)
    for sample, got in zip(labels, kept, strict=True):
        np.testing.assert_array_equal(got, by_scikit_image(sample.numpy()))


def test_the_argument_is_not_changed_and_may_lie_in_any_order_in_memory():
    labels = noise((12, 10, 14), 3).astype(np.uint8)
    copy, turned = labels.copy(), labels.transpose(2, 0, 1)
    kept = largest_component(turned)
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, by_scikit_image(turned.copy()))
    np.testing.assert_array_equal(labels, copy)


def test_the_kernels_count_as_source_although_only_a_gpu_imports_them():
    assert "m3hl.inference.components_cuda" in closure(["m3hl.inference.components"])
