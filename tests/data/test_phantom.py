"""Synthetic studies: determined by the seed, laid out like the real ones, and anatomically sound."""

import numpy as np
import pytest
from scipy import ndimage

from m3hl.config.dataset import PhantomConfig
from m3hl.data.datasets import acdc as acdc_dataset
from m3hl.data.datasets import la as la_dataset
from m3hl.data.images import read_pair
from m3hl.data.phantom import acdc, la
from m3hl.data.phantom.patients import patients
from m3hl.data.phantom.shapes import ellipsoid, tube
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file

MAKERS = [
    (acdc, {"size": (32, 32)}),
    (la, {"size": (24, 24, 24)}),
]


def digests(folder):
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("maker", "keys"), MAKERS)
def test_the_same_configuration_gives_the_same_bytes(tmp_path, maker, keys):
    config = PhantomConfig(train=1, val=0, test=1, **keys)
    maker.make(config, tmp_path / "a")
    maker.make(config, tmp_path / "b")
    maker.make(config.model_copy(update={"seed": 1}), tmp_path / "c")
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys() or maker is acdc  # the systolic frame's number is random
    assert not set(first.values()) & set(other.values()) - {first["splits.csv"]}


@pytest.mark.parametrize(("maker", "keys"), MAKERS)
def test_more_patients_leave_the_others_as_they_are(tmp_path, maker, keys):
    maker.make(PhantomConfig(train=1, val=1, test=1, **keys), tmp_path / "few")
    maker.make(PhantomConfig(train=2, val=2, test=2, **keys), tmp_path / "many")
    few, many = digests(tmp_path / "few"), digests(tmp_path / "many")
    few.pop("splits.csv")
    assert few.items() <= many.items()
    assert len(set(many.values())) == len(many)


def test_hearts_look_like_hearts(hearts):
    for case in acdc_dataset.raw_cases(hearts):
        image, label, geometry = read_pair(case.images[0], case.label, 2)
        assert image.dtype == np.int16
        assert label.dtype == np.uint8
        assert 8 <= len(image) <= 10
        assert geometry.spacing[0] > geometry.spacing[1] == geometry.spacing[2]
        middle = label[len(label) // 2]
        assert set(np.unique(middle)) == {0, 1, 2, 3}
        # The left ventricle lies within its muscle: nothing else touches it.
        pool = middle == 3
        around = ndimage.binary_dilation(pool) & ~pool
        assert set(np.unique(middle[around])) == {2}
        # The right ventricle touches the septum and ends before the apex.
        assert (ndimage.binary_dilation(middle == 1) & (middle == 2)).any()
        assert (label[-1] == 1).sum() < (middle == 1).sum()


def test_the_heart_contracts(hearts):
    cases = acdc_dataset.raw_cases(hearts)
    for diastole, systole in zip(cases[::2], cases[1::2], strict=True):
        pools = [(read_pair(c.images[0], c.label, 2)[1] == 3).sum() for c in (diastole, systole)]
        assert pools[1] < pools[0]


def test_atria_look_like_atria(atria):
    for case in la_dataset.raw_cases(atria):
        image, label, _ = read_pair(case.images[0], case.label, 3)
        assert image.dtype == np.uint8
        assert image.max() > 100
        assert set(np.unique(label)) == {0, 255}
        assert 0.01 < (label > 0).mean() < 0.25
        # One piece, apart from vein stubs that a coarse grid may cut off.
        parts, _ = ndimage.label(label > 0, np.ones((3, 3, 3)))
        assert np.bincount(parts.ravel())[1:].max() > 0.95 * (label > 0).sum()


@pytest.mark.parametrize(
    ("maker", "size"), [(acdc, (32, 32, 8)), (acdc, (16, 64)), (la, (48, 48)), (la, (48, 48, 10))]
)
def test_a_size_that_fits_no_organ_is_refused(tmp_path, maker, size):
    with pytest.raises(UserError, match=r"phantom\.size: .* expected"):
        maker.make(PhantomConfig(size=size), tmp_path)


def test_numbers_are_unique_in_the_largest_study():
    numbers = [number for number, _ in patients(PhantomConfig(train=500, val=200, test=299))]
    assert len(set(numbers)) == 999
    assert max(numbers) == 999


def test_there_are_numbers_for_so_many_patients_only():
    with pytest.raises(UserError, match=r"phantom\.val: 201 patients, at most 200"):
        list(patients(PhantomConfig(val=201)))


def test_distances_are_in_mm():
    x, y, z = np.meshgrid(*3 * [np.arange(-20.0, 21)], indexing="ij")
    np.testing.assert_allclose(
        ellipsoid([x, y, z], (0, 0, 0), (8, 8, 8))[20, 20, 20:], np.arange(21) - 8, atol=1e-5
    )
    distance, along = tube([x, y, z], np.array([0, 0, -10.0]), np.array([0, 0, 10.0]), (4, 4))
    np.testing.assert_allclose(distance[20:, 20, 20], np.arange(21) - 4)
    np.testing.assert_allclose(along[0, 0, [10, 20, 30]], [0, 0.5, 1])
