"""The real data sets, where they lie beside the project (licences forbid to include them)."""

import pytest

from m3hl.config.dataset import DatasetConfig
from m3hl.data.preprocess import preprocess
from m3hl.data.sources import obtain
from m3hl.data.store import Store

pytestmark = pytest.mark.slow
LABELED = "patient099 patient038 patient050 patient100 patient058 patient021 patient049".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def public(unpack, tmp_path_factory):
    """Return a folder with both public trees."""
    folder = tmp_path_factory.mktemp("public")
    unpack(folder)
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
