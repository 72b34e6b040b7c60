"""The store: what goes in comes out, the same input gives the same bytes, and damage is found."""

import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.data.case import Case, Geometry
from m3hl.data.store import VERSION, Store
from m3hl.data.store_writer import chunk_shape, write_store
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file

DESCRIPTION = describe(DatasetConfig(kind="acdc", source="raw", path="x"))
GEOMETRY = Geometry(
    (8.0, 1.5, 1.25), (-3.0, 2.5, 0.0), (0.0, -1, 0, 1, 0, 0, 0, 0, 1), (2, 1, 0), (0, 3, 4), (3, 40, 30)
)


def cases():
    rng = np.random.default_rng(0)
    for name, group, split, labeled in [
        ("z_1", "z", "train", True),
        ("z_2", "z", "train", True),
        ("b", "b", "train", True),
        ("a", "a", "train", False),
        ("v", "v", "val", True),
        ("t", "t", "test", True),
    ]:
        image = rng.random((3, 8, 9)).astype(np.float32)
        label = rng.integers(0, 4, (3, 8, 9)).astype(np.uint8) if labeled else None
        yield Case(name, group, split, image, label, GEOMETRY if split == "test" else None)


def write(path, **changes):
    values = {
        "kind": "acdc",
        "source": "raw",
        "description": DESCRIPTION,
        "source_sha256": "0" * 64,
        "cases": cases(),
        "labeled_order": ["z", "b"],
    }
    write_store(path, **(values | changes))
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "store.h5")


def test_what_goes_in_comes_out(path):
    with Store(path) as store:
        assert (store.kind, store.source, store.dimensions) == ("acdc", "raw", 2)
        assert store.classes == ("right ventricle", "myocardium", "left ventricle")
        assert store.labeled_order == ("z", "b")
        assert (store.citation, store.license) == (DESCRIPTION.citation, DESCRIPTION.license)
        assert [case.name for case in store.cases("train")] == ["z_1", "z_2", "b", "a"]
        assert [case.name for case in store.cases("val")] == ["v"]
        for case in cases():
            info = next(i for i in store.cases(case.split) if i.name == case.name)
            assert (info.group, info.shape, info.labeled) == (case.group, (3, 8, 9), case.label is not None)
            assert info.geometry == case.geometry
            np.testing.assert_array_equal(store.image(case.name), case.image)
            assert store.image(case.name).dtype == np.float32
            if case.label is None:
                assert store.label(case.name) is None
            else:
                np.testing.assert_array_equal(store.label(case.name), case.label)
                assert store.label(case.name).dtype == np.uint8
        store.verify()


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first = write(tmp_path / "first.h5")
    time.sleep(1.1)  # HDF5 keeps times in whole seconds
    (tmp_path / "elsewhere").mkdir()
    assert sha256_file(first) == sha256_file(write(tmp_path / "elsewhere" / "second.h5"))


def test_a_failed_write_leaves_the_old_store(path):
    before = sha256_file(path)

    def broken():
        yield next(cases())
        raise UserError("the second case is bad")

    with pytest.raises(UserError, match="the second case is bad"):
        write(path, cases=broken())
    assert sha256_file(path) == before
    assert [p.name for p in path.parent.iterdir()] == ["store.h5"]


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.pop("schema"), "is no store of this package"),
        (lambda f: f.attrs.modify("version", VERSION + 1), "store version 2, expected 1"),
        (lambda f: f.attrs.pop("classes"), "lacks classes"),
        (lambda f: f.pop("cases"), "lacks cases"),
        (lambda f: f["cases/b"].attrs.pop("group"), "b lacks group"),
        (lambda f: f["cases/b"].pop("image"), "b lacks its image"),
        (lambda f: f["cases/t"].attrs.pop("axes"), "t lacks axes"),
    ],
)
def test_an_incomplete_store_is_refused(path, change, message):
    edit(path, change)
    with pytest.raises(UserError, match=f"store.h5: .*{message}.*make it again"):
        Store(path)


@pytest.mark.parametrize("key", ["image", "label"])
def test_verify_finds_a_changed_voxel(path, key):
    edit(path, lambda f: f[f"cases/v/{key}"].write_direct(f[f"cases/v/{key}"][()] + 1))
    with Store(path) as store, pytest.raises(UserError, match=f"the {key} of v differs from its digest"):
        store.verify()


def test_files_that_are_no_stores(path, tmp_path):
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(path.read_bytes()[:-100])
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    for wrong, message in [
        (truncated, "no whole HDF5 file"),
        (text, "no whole HDF5 file"),
        (tmp_path / "none.h5", "no such store"),
        (tmp_path, "no such store"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            Store(wrong)
        assert "\n" not in str(error.value)


def test_a_damaged_chunk_is_named(tmp_path):
    path = write(tmp_path / "s.h5")
    with h5py.File(path) as file:
        chunk = file["cases/b/image"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(data)
    with Store(path) as store:
        for read in (lambda: store.image("b"), lambda: store.planes("b", "image", 0, 1)):
            with pytest.raises(UserError, match="cannot read the image of b"):
                read()


@pytest.mark.parametrize("key", ["image", "label"])
def test_planes_are_those_of_the_whole_array(tmp_path, key):
    # Chunks of three planes (the label's: of twelve), and a last one that is not full.
    rng = np.random.default_rng(0)
    image = rng.random((20, 150, 140), np.float32)
    volume = Case("z", "z", "train", image, rng.integers(0, 3, image.shape, np.uint8), None)
    with Store(write(tmp_path / "s.h5", cases=[volume], labeled_order=["z"])) as store:
        whole = getattr(store, key)(volume.name)
        for first, last in [(0, 1), (0, 20), (2, 3), (2, 4), (5, 12), (17, 20), (19, 20)]:
            np.testing.assert_array_equal(store.planes(volume.name, key, first, last), whole[first:last])


def test_an_unknown_case_is_named(path):
    with Store(path) as store, pytest.raises(UserError, match="there is no case x"):
        store.image("x")


@pytest.mark.parametrize("shape", [(1, 8, 8), (10, 256, 216), (200, 150, 88), (3, 2000, 2000)])
def test_chunks_are_whole_planes_of_about_a_quarter_of_a_mebibyte(shape):
    chunk = chunk_shape(shape, 4)
    assert chunk[1:] == shape[1:]
    assert 1 <= chunk[0] <= shape[0]
    assert chunk[0] == 1 or np.prod(chunk) * 4 <= 2**18


def shrunk_cases(label=(7, 16, 18)):
    """Yield volumes that were shrunk by (2, 2, 2): what is measured keeps its label map's shape."""
    for name, split in (("a", "train"), ("t", "test")):
        shape = (4, 8, 9) if split == "train" else label
        geometry = replace(GEOMETRY, offset=(0, 0, 0), size=label) if split == "test" else None
        yield Case(name, name, split, np.ones((4, 8, 9), np.float32), np.ones(shape, np.uint8), geometry)


def write_shrunk(path, **changes):
    volumes = describe(DatasetConfig(kind="la", source="raw", path="x"))
    values = {"kind": "la", "description": volumes, "labeled_order": ["a"], "shrink": (2, 2, 2)}
    return write(path, **(values | {"cases": shrunk_cases()} | changes))


def test_a_shrunk_store_says_so_and_keeps_what_is_measured(tmp_path):
    with Store(write_shrunk(tmp_path / "s.h5")) as store:
        assert store.shrink == (2, 2, 2)
        (case,) = store.cases("test")
        assert (case.shape, store.label("t").shape) == ((4, 8, 9), (7, 16, 18))
        store.verify()
        store.require(3, ("left atrium",), (2, 2, 2))
        for other in (None, (2, 2, 1)):
            with pytest.raises(UserError, match=r"the store has shrink \(2, 2, 2\), the run wants"):
                store.require(3, ("left atrium",), other)


@pytest.mark.parametrize(
    "changes",
    [
        {"shrink": (0, 2, 2)},
        {"shrink": (65, 2, 2)},
        {"shrink": (2, 2)},
        {"shrink": (2.0, 2.0, 2.0)},
        {"shrink": (1, 2, 2)},
        {"cases": shrunk_cases((9, 16, 18))},
        {"cases": shrunk_cases((6, 16, 18))},
        {"description": DESCRIPTION},
    ],
)
def test_a_shrunk_store_whose_shapes_cannot_be_is_refused(tmp_path, changes):
    path = write_shrunk(tmp_path / "s.h5", **changes)
    with pytest.raises(UserError, match="make it again with m3hl preprocess"):
        Store(path)
