"""What travels to a GPU machine and back comes whole, exact, and never older than what is there."""

import os
from zipfile import ZipFile

import numpy as np
import pytest

from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from tests.benchmarks.gpu.luggage import Luggage
from tests.benchmarks.gpu.packing import pack, packed, unpack, unpacked
from tests.benchmarks.gpu.pieces import bundles, cut, join
from tests.benchmarks.stores import make_store, study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a small store of volumes."""
    return make_store(study(tiny=True), "la", tmp_path_factory.mktemp("luggage"))


def test_a_store_that_was_packed_is_the_same_file(store, tmp_path):
    pack(store, tmp_path / "packed")
    assert unpack(tmp_path / "packed", tmp_path / "again.h5")
    assert sha256_file(tmp_path / "again.h5") == sha256_file(store)


def test_a_packed_store_that_was_changed_is_refused(store, tmp_path):
    pack(store, tmp_path / "packed")
    with ZipFile(tmp_path / "packed") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    image = next(name for name in members if name.endswith("/image"))
    members[image] = packed(unpacked(members[image]) + np.float32(1))
    with ZipFile(tmp_path / "packed", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match=f"{image} differs from its digest"):
        unpack(tmp_path / "packed", tmp_path / "again.h5")
    assert not (tmp_path / "again.h5").exists()


@pytest.mark.parametrize("values", [1, 2, 256, 257, 65536, 65537])
def test_arrays_come_back_bit_for_bit(values):
    array = np.random.default_rng(0).permutation(np.arange(values, dtype=np.float32)).reshape(1, 1, -1)
    array.flat[0] = -0.0
    again = unpacked(packed(array))
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


def test_pieces_of_two_versions_are_not_mixed(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for path, content in ((old, b"aaaabbbb"), (new, b"aaaacccc")):
        path.write_bytes(content)
        cut(path, tmp_path / "pieces", "data", 4)
    next((tmp_path / "pieces").glob(f"data.{sha256_file(old)[:12]}.1-*")).unlink()
    ((bundle, pieces),) = bundles(tmp_path / "pieces").items()
    assert bundle == ("data", sha256_file(new)[:12])
    join(pieces, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"aaaacccc"
    pieces[1].write_bytes(b"dddd")
    with pytest.raises(UserError, match="are damaged; bring them again"):
        join(pieces, tmp_path / "again")


def test_records_of_an_earlier_call_do_not_replace_newer_ones(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    record = there / "results" / "paper" / "runs" / "la" / "m3hl" / "labeled-8" / "seed-1" / "run.json"
    record.parent.mkdir(parents=True)
    for when, text in ((1000, "old"), (2000, "new")):
        record.write_text(text)
        os.utime(record, (when, when))
        Luggage(there).leave([], [])
        (there / "out").rename(tmp_path / text)
    for call in ("new", "old"):
        Luggage(here).receive(tmp_path / call, tmp_path / "stores")
        assert (here / record.relative_to(there)).read_text() == "new"


def test_a_checkpoint_of_which_a_piece_is_missing_is_refused(tmp_path):
    (tmp_path / "whole").write_bytes(b"aaaabbbb")
    cut(tmp_path / "whole", tmp_path / "brought", "state", 4)
    next((tmp_path / "brought").glob("*.2-of-2")).unlink()
    with pytest.raises(UserError, match="pieces of state are missing"):
        Luggage(tmp_path / "here").receive(tmp_path / "brought", tmp_path / "stores")
