"""Raw and public trees lead to the same arrays, bit for bit, and both to the published digests."""

import numpy as np
import pytest
import SimpleITK as sitk

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.data import published
from m3hl.data.case import Case
from m3hl.data.datasets import acdc
from m3hl.data.manifest import Entry
from m3hl.data.preprocess import preprocess
from m3hl.data.published import equals_published
from m3hl.data.readers import read_public
from m3hl.data.sources import obtain
from m3hl.data.store import Store, digest

SPLIT = "group,split\npatient091,train\npatient003,train\npatient002,val\npatient001,test\n"
"""The patients whose files come first in the packs."""


@pytest.fixture(scope="module")
def public_tree(unpack, tmp_path_factory):
    """Return a few complete patients of the public tree."""
    folder = tmp_path_factory.mktemp("public")
    unpack(folder, "acdc", "--limit", "24")
    (folder / "ACDC" / "splits.csv").write_text(SPLIT)
    return folder / "ACDC"


def store_of(folder, source, out):
    config = DatasetConfig(kind="acdc", source=source, path=folder)
    preprocess(config, obtain(config, "acdc", out.with_suffix(".json")), out)
    return Store(out)


def as_integers(image):
    """Return integers that min-max normalisation turns into `image`, shifted as scanners' values are."""
    values = np.unique(image)
    for levels in range(1, 2**14):
        numbers = np.rint(values.astype(np.float64) * levels)
        if np.array_equal((numbers / levels).astype(np.float32), values):
            return np.rint(image.astype(np.float64) * levels).astype(np.int16) - 37
    raise AssertionError("no integers give these values")


def write_raw_tree(public_tree, folder):
    """Write the volumes of a public tree as ACDC's raw files; the first patient's frames are 4 and 11."""
    (folder / "splits.csv").write_text(SPLIT)
    description = describe(DatasetConfig(kind="acdc", source="raw", path=folder))
    for case in acdc.public_cases(public_tree):
        volume = read_public(case, description)
        patient = folder / case.group
        patient.mkdir(exist_ok=True)
        (patient / "Info.cfg").write_text("ED: 11\nES: 4\n")
        frame = 4 if case.name.endswith("01") else 11
        for array, ending in ((as_integers(volume.image), ""), (volume.label, "_gt")):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((1.5, 1.5, 10.0))
            sitk.WriteImage(image, str(patient / f"{case.group}_frame{frame:02}{ending}.nii.gz"))


def test_raw_and_public_acdc_agree_to_the_bit(public_tree, tmp_path, caplog):
    raw_tree = tmp_path / "raw"
    raw_tree.mkdir()
    write_raw_tree(public_tree, raw_tree)
    caplog.set_level("INFO")
    with (
        store_of(public_tree, "public", tmp_path / "public.h5") as public,
        store_of(raw_tree, "raw", tmp_path / "raw.h5") as raw,
    ):
        assert caplog.text.count("8 of 8 cases equal the published arrays bit for bit") == 2
        assert public.labeled_order == raw.labeled_order == ("patient091", "patient003")
        for split, count in (("train", 4), ("val", 2), ("test", 2)):
            assert len(public.cases(split)) == count
            for ours, theirs in zip(raw.cases(split), public.cases(split), strict=True):
                assert ours.name == theirs.name
                assert digest(raw.image(ours.name)) == digest(public.image(ours.name))
                assert digest(raw.label(ours.name)) == digest(public.label(ours.name))


def test_a_raw_file_that_differs_is_named_but_taken(public_tree, tmp_path, caplog):
    raw_tree = tmp_path / "raw"
    raw_tree.mkdir()
    write_raw_tree(public_tree, raw_tree)
    path = raw_tree / "patient003" / "patient003_frame04.nii.gz"
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    voxels[0, 0, 0] += 1
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    gt = path.with_name("patient003_frame04_gt.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(sitk.GetArrayFromImage(sitk.ReadImage(str(gt)))), str(gt))
    caplog.set_level("INFO")
    with store_of(raw_tree, "raw", tmp_path / "raw.h5") as store:
        assert len(store.cases("train")) == 4
    assert "7 of 8 cases equal the published arrays bit for bit" in caplog.text
    assert "not equal to the published arrays: patient003_frame01" in caplog.text


def test_every_slice_and_no_other_must_be_equal(monkeypatch, rng):
    image = rng.random((3, 4, 5)).astype(np.float32)
    label = rng.integers(0, 4, (3, 4, 5)).astype(np.uint8)

    def entry(i, lab):
        return Entry("", 0, "", i.shape, digest(i), digest(lab))

    manifest = {f"sliced_slice_{k + 1}": entry(image[k], label[k]) for k in range(3)}
    manifest["whole"] = entry(image, label)
    monkeypatch.setattr(published, "read_manifest", lambda kind: manifest)

    def equal(name, i, lab):
        return equals_published(Case(name, "g", "train", i, lab, None), "acdc")

    flipped = image.copy()
    flipped[2, 3, 4] = np.nextafter(flipped[2, 3, 4], np.float32(2))
    for name in ("sliced", "whole"):
        assert equal(name, image, label)
        assert not equal(name, flipped, label)
        assert not equal(name, image, label[::-1])
        assert not equal(name, image, None)
        assert not equal(name, image[:2], label[:2])
        assert not equal(name, np.concatenate([image, image[:1]]), np.concatenate([label, label[:1]]))
    assert not equal("unknown", image, label)
