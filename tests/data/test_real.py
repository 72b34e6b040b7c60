"""The real data sets, where they lie beside the project (licences forbid to include them)."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from m3hl.config.dataset import DatasetConfig
from m3hl.data.preprocess import preprocess
from m3hl.data.sources import obtain
from m3hl.data.store import Store

UNPACK = Path(__file__).parents[3] / "shared" / "tools" / "unpack_data.py"
pytestmark = [
    pytest.mark.skipif(not UNPACK.is_file(), reason="the real ACDC and LA are not beside the project"),
    pytest.mark.slow,
]
LABELED = "patient099 patient038 patient050 patient100 patient058 patient021 patient049".split()  # noqa: SIM905
SOME = {
    "patient099": "train",
    "patient038": "train",
    "patient002": "val",
    "patient001": "test",
    "patient090": "train",
}


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """Return a folder with both public trees."""
    folder = tmp_path_factory.mktemp("public")
    subprocess.run([sys.executable, UNPACK, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def make_store(tmp_path_factory):
    """Return a function that makes the store of a folder."""

    def make(kind, source, path):
        config = DatasetConfig(kind=kind, source=source, path=path)
        folder = tmp_path_factory.mktemp("stores")
        preprocess(config, obtain(config, kind, folder / "files.json"), folder / "store.h5")
        return folder / "store.h5"

    return make


def test_public_acdc_has_the_published_counts(public, make_store, caplog):
    caplog.set_level("INFO")
    with Store(make_store("acdc", "public", public / "ACDC")) as store:
        assert store.labeled_order[:7] == tuple(LABELED)
        slices = dict.fromkeys(store.labeled_order, 0)
        for case in store.cases("train"):
            slices[case.group] += case.shape[0]
        assert (sum(slices.values()), sum(slices[group] for group in LABELED)) == (1312, 136)
        assert [len(store.cases(split)) for split in ("val", "test")] == [20, 40]
        assert len({case.group for case in store.cases("test")}) == 20
        store.verify()
    assert "200 of 200 cases equal the published arrays bit for bit" in caplog.text


def test_public_la_has_the_published_counts(public, make_store, caplog):
    caplog.set_level("INFO")
    with Store(make_store("la", "public", public / "LA")) as store:
        assert [len(store.cases(split)) for split in ("train", "val", "test")] == [80, 0, 20]
        assert {case.shape[2] for case in store.cases("train")} == {88}
    assert "100 of 100 cases equal the published arrays bit for bit" in caplog.text


def test_a_raw_tree_of_acdc_gives_the_same_bits_as_the_public_one(public, make_store, tmp_path):
    rows = "".join(f"{group},{split}\n" for group, split in SOME.items())
    (public / "ACDC" / "splits.csv").write_text(f"group,split\n{rows}")
    try:
        ours = make_store("acdc", "public", public / "ACDC")
    finally:
        (public / "ACDC" / "splits.csv").unlink()
    (tmp_path / "splits.csv").write_text(f"group,split\n{rows}")
    with Store(ours) as store:
        for split in ("train", "val", "test"):
            for case in store.cases(split):
                write_raw(tmp_path, store, case)
    raw = make_store("acdc", "raw", tmp_path)
    with Store(ours) as a, Store(raw) as b:
        assert a.labeled_order == b.labeled_order
        for split in ("train", "val", "test"):
            assert [case.name for case in a.cases(split)] == [case.name for case in b.cases(split)]
            for case in a.cases(split):
                assert a.image(case.name).tobytes() == b.image(case.name).tobytes()
                assert a.label(case.name).tobytes() == b.label(case.name).tobytes()


def write_raw(folder, store, case):
    """Write one frame as the challenge does; the frames are numbered 4 and 11, as patient090's are."""
    patient, frame = folder / case.group, {"1": 4, "2": 11}[case.name[-1]]
    patient.mkdir(exist_ok=True)
    (patient / "Info.cfg").write_text("ED: 11\nES: 4\nGroup: NOR\n")
    for ending, array in (("", store.image(case.name)), ("_gt", store.label(case.name))):
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing((1.5, 1.5, 10.0))
        sitk.WriteImage(image, str(patient / f"{case.group}_frame{frame:02}{ending}.nii.gz"))
