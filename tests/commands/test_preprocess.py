"""`m3hl preprocess`: good input of every kind becomes a store, bad input one line before any is written."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk

from m3hl.config.datasets import describe
from m3hl.config.experiment import load_config, parse_config
from m3hl.data.frame import Frame
from m3hl.data.store import Store
from m3hl.files.digests import sha256_file
from m3hl.provenance.stages import excerpt
from tests.scans import write_dicom

SHAPE = (4, 6, 5)
HEADER = ["case", "image", "label", "split", "group"]
ROWS = [
    ["a", "a.nii.gz", "a_label.nii.gz", "train", "p1"],
    ["b", "b.nrrd", "", "train", "p2"],
    ["c", "c.mha", "c_label.mha", "train", "p3"],
    ["v", "v.nii", "v_label.nii", "val", "p4"],
    ["t", "t.nii.gz", "t_label.nii.gz", "test", "p5"],
]


def write(path, array, spacing=(1.0, 1.5, 4.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


def good_label():
    label = np.zeros(SHAPE, np.uint8)
    label[1:3, 2:4, 1:4] = 1
    label[1, 2, 2] = 2
    return label


@pytest.fixture
def own(tmp_path):
    """Return a folder with five cases of one's own, one of them without a label."""
    folder = tmp_path / "own"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for _, image, label, _, _ in ROWS:
        write(folder / image, rng.integers(0, 900, SHAPE).astype(np.int16))
        if label:
            write(folder / label, good_label())
    write_rows(folder, ROWS)
    return folder


def write_rows(folder, rows):
    with (folder / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


@pytest.fixture
def pipeline(m3hl, tmp_path):
    """Return a function that runs download and preprocess; it returns the first error line, or the store."""

    def run(between=lambda: None, **dataset):
        text = json.dumps({"name": "test", "datasets": {"d": dataset}})
        files, out = tmp_path / "list.json", tmp_path / "store.h5"
        line = m3hl("download", "--config", text, "--dataset", "d", "--out", files)
        if line is None:
            between()
            line = m3hl("preprocess", "--config", text, "--dataset", "d", "--files", files, "--out", out)
        if line is not None:
            assert not out.exists()
            return line
        return out

    return run


def custom(folder, **keys):
    return {
        "kind": "custom",
        "source": "folder",
        "path": str(folder / "cases.csv"),
        "dimensions": 2,
        "classes": ["one", "two"],
    } | keys


@pytest.mark.parametrize("dimensions", [2, 3])
def test_your_own_images_become_a_store(pipeline, own, dimensions):
    with Store(pipeline(**custom(own, dimensions=dimensions))) as store:
        assert (store.kind, store.source, store.dimensions) == ("custom", "folder", dimensions)
        assert store.classes == ("one", "two")
        assert store.labeled_order == ("p1", "p3")
        assert [(c.name, c.labeled) for c in store.cases("train")] == [("a", True), ("c", True), ("b", False)]
        assert store.cases("test")[0].shape == (SHAPE if dimensions == 2 else SHAPE[::-1])
        assert store.cases("test")[0].geometry.size == store.cases("test")[0].shape
        expected = good_label() if dimensions == 2 else good_label().transpose()
        np.testing.assert_array_equal(store.label("t"), expected)
        assert abs(store.image("t").mean()) < 1e-5
        store.verify()


def test_min_max_of_your_own_images(pipeline, own):
    with Store(pipeline(**custom(own, normalization="minmax"))) as store:
        assert (store.image("b").min(), store.image("b").max()) == (0, 1)


@pytest.mark.parametrize("kind", ["acdc", "la"])
def test_phantoms_become_the_same_store_twice(pipeline, kind):
    size = (32, 32) if kind == "acdc" else (24, 24, 24)
    phantom = {"train": 3, "val": 1, "test": 1, "size": size}
    first = pipeline(kind=kind, source="phantom", phantom=phantom)
    digest = sha256_file(first)
    assert sha256_file(pipeline(kind=kind, source="phantom", phantom=phantom)) == digest
    with Store(first) as store:
        assert len(store.labeled_order) == 3
        assert store.cases("val")
        for case in store.cases("train"):
            image, label = store.image(case.name), store.label(case.name)
            assert label.max() == len(store.classes)
            if kind == "acdc":
                assert (image.min(), image.max()) == (0, 1)
            else:
                # The crop is smaller than the least size, so the scan is whole.
                assert image.shape == case.geometry.size
                assert abs(image.mean()) < 1e-5
                assert abs(image.std() - 1) < 1e-5


def test_the_last_labeled_groups_are_held_out(pipeline):
    phantom = {"train": 4, "val": 0, "test": 1, "size": (32, 32)}
    with Store(pipeline(kind="acdc", source="phantom", phantom=phantom, hold_out=2)) as store:
        assert store.labeled_order == ("patient001", "patient002")
        assert [case.group for case in store.cases("val")] == 2 * ["patient003"] + 2 * ["patient004"]


def test_holding_out_everyone_is_refused(pipeline):
    phantom = {"train": 2, "val": 0, "test": 1, "size": (32, 32)}
    line = pipeline(kind="acdc", source="phantom", phantom=phantom, hold_out=2)
    assert "hold_out: 2 of 2 labeled training groups leaves none" in line


def raw_la(folder, label, shape=(300, 200, 12)):
    """Write one raw scan for each split, whose atrium is `label`."""
    rng = np.random.default_rng(5)
    rows = "group,split\n"
    for name, split in (("s1", "train"), ("s2", "test")):
        (folder / name).mkdir(parents=True)
        endo = np.zeros(shape, np.uint8)
        endo[label] = 255
        write(folder / name / "laendo.nrrd", endo.transpose())
        write(folder / name / "lgemri.nrrd", rng.integers(0, 200, shape).astype(np.uint8).transpose())
        rows += f"{name},{split}\n"
    (folder / "splits.csv").write_text(rows)


def test_raw_la_is_cropped_around_the_label(pipeline, tmp_path):
    raw_la(tmp_path / "la", np.s_[100:250, 60:160, 3:9])
    with Store(pipeline(kind="la", source="raw", path=str(tmp_path / "la"))) as store:
        for case in (*store.cases("train"), *store.cases("test")):
            x, y, z = case.geometry.offset
            assert 80 <= x <= 90
            assert 40 <= y <= 50
            assert z == 0
            assert 170 <= case.shape[0] <= 190
            assert 120 <= case.shape[1] <= 140
            assert case.shape[2] == 12
            assert case.geometry.size == (300, 200, 12)
            label = store.label(case.name)
            assert label.sum() == 150 * 100 * 6
            assert label[100 - x, 60 - y, 3] == 1


def test_raw_la_may_be_cropped_without_a_look_at_the_label(pipeline, tmp_path, caplog):
    raw_la(tmp_path / "la", np.s_[0:5, 60:160, 3:9], shape=(340, 200, 12))
    with Store(pipeline(kind="la", source="raw", path=str(tmp_path / "la"), crop_around="center")) as store:
        assert store.cases("train")[0].geometry.offset == (10, 0, 0)
        assert store.cases("train")[0].shape == (320, 200, 12)


def two_series(folder):
    """Let case b be a folder with two DICOM series."""
    for series in "12":
        write_dicom(folder / "scan", np.ones(SHAPE), series=series, name=f"s{series}-")
    write_rows(folder, [[*row[:1], "scan", *row[2:]] if row[0] == "b" else row for row in ROWS])


def test_cases_without_structures_are_cases_like_any_other(pipeline, own):
    for name in ("c_label.mha", "t_label.nii.gz"):
        write(own / name, np.zeros(SHAPE, np.uint8))
    with Store(pipeline(**custom(own))) as store:
        assert store.labeled_order == ("p1", "p3")
        assert not store.label("c").any()
        assert not store.label("t").any()


def test_known_data_sets_have_structures_in_every_case(pipeline, tmp_path):
    raw_la(tmp_path / "la", np.s_[0:0, 0:0, 0:0])
    assert "the label map is empty" in pipeline(kind="la", source="raw", path=str(tmp_path / "la"))


def test_a_list_of_a_spreadsheet_with_a_folder_of_dicom(pipeline, own):
    rng = np.random.default_rng(4)
    voxels = rng.integers(0, 900, SHAPE)
    write_dicom(own / "scan", voxels)
    rows = [HEADER, *([*row[:1], "scan", *row[2:]] if row[0] == "b" else row for row in ROWS)]
    (own / "cases.csv").write_text("".join(";".join(row) + "\n" for row in rows), encoding="utf-8-sig")
    with Store(pipeline(**custom(own, normalization="minmax"))) as store:
        np.testing.assert_allclose(store.image("b"), (voxels - voxels.min()) / np.ptp(voxels), rtol=1e-6)


def test_what_was_done_to_a_case_stands_in_the_store(pipeline, own):
    image = sitk.ReadImage(str(own / "t_label.nii.gz"))
    image.SetOrigin((0.05, 0, 0))
    sitk.WriteImage(image, str(own / "t_label.nii.gz"))
    with Store(pipeline(**custom(own))) as store:
        (case,) = store.cases("test")
        assert case.notes == ("label map: 0.05 voxels from its image's grid, taken as lying on it",)
        assert not any(case.notes for case in store.cases("train"))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_value(value):
    image = np.linspace(0, 1, np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    image[1, 2, 3] = value
    return image


BAD = {
    "image file missing": (lambda d: (d / "c.mha").unlink(), r"own/c\.mha: there is no such file"),
    "two files missing": (
        lambda d: [(d / "a.nii.gz").unlink(), (d / "c.mha").unlink()],
        r"a\.nii\.gz: there is no such file \(and 1 more files\); .*cases\.csv names it",
    ),
    "truncated gzip": (lambda d: truncate(d / "a.nii.gz"), r"a\.nii\.gz: "),
    "truncated": (lambda d: truncate(d / "v.nii"), r"v\.nii: .*get the file again"),
    "no image": (lambda d: (d / "c.mha").write_text("x"), r"c\.mha: cannot read this image"),
    "NaN": (lambda d: write(d / "c.mha", with_value(np.nan)), r"c\.mha \(c\): 1 voxels .* NaN"),
    "infinity": (lambda d: write(d / "c.mha", with_value(np.inf)), r"c\.mha \(c\): 1 voxels .* infinite"),
    "constant": (lambda d: write(d / "c.mha", np.ones(SHAPE)), r"c\.mha \(c\): every voxel"),
    "label out of range": (
        lambda d: write(d / "t_label.nii.gz", good_label() * 2),
        r"t_label\.nii\.gz \(t\): the label map holds 4, expected only 0, 1, 2",
    ),
    "label of another shape": (
        lambda d: write(d / "t_label.nii.gz", good_label()[:3]),
        r"t_label\.nii\.gz: the label map has shape \(3, 6, 5\), its image \(4, 6, 5\)",
    ),
    "label of another geometry": (
        lambda d: write(d / "t_label.nii.gz", good_label(), (1.0, 1.5, 5.0)),
        r"t_label\.nii\.gz: the label map's spacing is",
    ),
    "label of an odd value": (
        lambda d: write(d / "t_label.nii.gz", good_label() * np.float32(0.6)),
        r"t_label\.nii\.gz \(t\): the label map holds 0\.60000002, 1\.2, expected only 0, 1, 2",
    ),
    "several series": (
        lambda d: two_series(d),
        r"own/scan: this folder holds 2 DICOM series",
    ),
    "case in two splits": (
        lambda d: write_rows(d, [*ROWS, ["a", "b.nrrd", "", "test", "p9"]]),
        r"cases\.csv: a is in both train and test",
    ),
    "group in two splits": (
        lambda d: write_rows(d, [*ROWS, ["x", "b.nrrd", "a_label.nii.gz", "test", "p1"]]),
        r"cases\.csv: group p1 is in both train and test",
    ),
    "image in two splits": (
        lambda d: (d / "t.nii.gz").write_bytes((d / "a.nii.gz").read_bytes()),
        r"t\.nii\.gz: the same image is case a \(train\) and case t \(test\)",
    ),
    "nothing labeled": (
        lambda d: write_rows(d, [ROWS[1], ROWS[4]]),
        "no training case has a label",
    ),
    "empty list": (lambda d: write_rows(d, []), "no case is in the split test"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_the_file(pipeline, own, case):
    spoil, message = BAD[case]
    spoil(own)
    line = pipeline(**custom(own))
    assert isinstance(line, str), "it was accepted"
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: write(d / "c.mha", with_value(7)), "the file changed since download"),
        (lambda d: (d / "c.mha").unlink(), "is gone; run m3hl download again"),
        (lambda d: write_rows(d, ROWS[1:]), r"cases.csv: .*changed since download"),
    ],
)
def test_a_file_that_changed_after_download_is_refused(pipeline, own, change, message):
    line = pipeline(between=lambda: change(own), **custom(own))
    assert isinstance(line, str)
    assert re.search(message, line), line


def test_a_list_of_another_source_is_refused(m3hl, own, tmp_path):
    def text(**dataset):
        return json.dumps({"name": "test", "datasets": {"d": dataset}})

    files = tmp_path / "list.json"
    assert m3hl("download", "--config", text(**custom(own)), "--dataset", "d", "--out", files) is None
    other = text(kind="la", source="phantom")
    line = m3hl("preprocess", "--config", other, "--dataset", "d", "--files", files, "--out", tmp_path / "s.h5")
    assert "the list of files is of custom from folder, but la from phantom is wanted" in line


def public_la(folder, **arrays):
    """Write one scan in the public layout, under the name of a published one."""
    name = "06SR5RBREL16DQ6M8LWS"
    (folder / "splits.csv").write_text(f"group,split\n{name},train\n")
    path = folder / "2018LA_Seg_Training Set" / name / "mri_norm2.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return path


IMAGE = np.random.default_rng(0).standard_normal((5, 6, 7)).astype(np.float32)
LABEL = (IMAGE > 1).astype(np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": IMAGE, "label": LABEL}, "its arrays are not the published ones"),
        ({"image": IMAGE}, "no whole HDF5 file with the arrays image and label"),
        ({"image": IMAGE, "label": LABEL[:4]}, r"image \(5, 6, 7\) and label \(4, 6, 7\)"),
        ({"image": IMAGE, "label": LABEL * 2}, "holds 2, expected only 0, 1"),
        ({"image": IMAGE * np.nan, "label": LABEL}, "NaN or infinite"),
    ],
)
def test_a_public_file_must_be_the_published_one(pipeline, tmp_path, arrays, message):
    path = public_la(tmp_path, **arrays)
    line = pipeline(kind="la", source="public", path=str(tmp_path))
    assert isinstance(line, str)
    assert re.search(message, line), line
    truncate(path)
    assert "no whole HDF5 file" in pipeline(kind="la", source="public", path=str(tmp_path))


def test_the_program_says_it_in_one_line_and_exits_with_1(tmp_path):
    text = json.dumps({"name": "test", "datasets": {"d": {"kind": "la", "source": "phantom"}}})
    (tmp_path / "list.json").write_text("{}")
    arguments = ["preprocess", "--config", text, "--dataset", "d", "--files", "list.json", "--out", "s.h5"]
    done = subprocess.run([sys.executable, "-m", "m3hl", *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == ("m3hl: error: list.json: this is no list of files of m3hl download; make it again\n")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["list.json"]


def geometries(folder):
    """Write six volumes of one's own, one of them flipped and one of thick slices, as their headers say."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows = []
    for number, split in enumerate(["train", "train", "train", "train", "val", "test"]):
        image = sitk.GetImageFromArray(rng.integers(0, 900, (6, 10, 8)).astype(np.int16))
        image.SetSpacing((1, 1, 2))
        if number == 3:
            image.SetSpacing((1, 1, 8))
        label = sitk.Cast(image > 700, sitk.sitkUInt8)
        if number in (1, 5):
            image, label = (sitk.DICOMOrient(one, "RSA") for one in (image, label))
        sitk.WriteImage(image, str(folder / f"{number}.nii.gz"))
        sitk.WriteImage(label, str(folder / f"{number}_label.nii.gz"))
        rows.append([f"c{number}", f"{number}.nii.gz", f"{number}_label.nii.gz", split, f"p{number}"])
    write_rows(folder, rows)
    return rng


def test_all_scans_get_one_geometry(pipeline, tmp_path):
    geometries(tmp_path / "own")
    with Store(pipeline(**custom(tmp_path / "own", dimensions=3, classes=["x"]))) as store:
        assert store.frame == Frame("LPS", (1.0, 1.0, 2.0))
        shapes = {case.name: case.shape for split in ("train", "val", "test") for case in store.cases(split)}
        assert set(shapes.values()) == {(8, 10, 6), (8, 10, 24)}
        assert shapes["c3"] == (8, 10, 24)
        notes = {case.name: case.notes for case in store.cases("train")}
        assert notes == {
            "c0": (),
            "c1": ("turned from RSA to LPS",),
            "c2": (),
            "c3": ("1×1×8 to 1×1×2 mm (8×10×6 to 8×10×24 voxels)",),
        }
        (test,) = store.cases("test")
        file = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "own" / "5_label.nii.gz")), "LPS")
        np.testing.assert_array_equal(store.label("c5"), sitk.GetArrayFromImage(file).transpose())
        assert test.geometry.size == (8, 10, 6)
        assert test.geometry.flipped == (True, True, False)
        store.verify()


def test_test_cases_keep_their_grid_where_the_spacing_is_another(pipeline, tmp_path):
    geometries(tmp_path / "own")
    dataset = custom(tmp_path / "own", dimensions=3, classes=["x"], spacing=[2.0, 2.0, 2.0], orientation="PLS")
    with Store(pipeline(**dataset)) as store:
        assert store.frame == Frame("PLS", (2.0, 2.0, 2.0))
        (test,) = store.cases("test")
        assert test.shape == (5, 4, 6)
        assert store.label("c5").shape == test.geometry.size == (10, 8, 6)
        assert test.geometry.spacing == pytest.approx((1, 1, 2))
        assert all(store.label(case.name).shape == case.shape for case in store.cases("train"))


def test_scans_may_stay_as_they_are(pipeline, tmp_path):
    geometries(tmp_path / "own")
    dataset = custom(tmp_path / "own", dimensions=3, classes=["x"], spacing="none", orientation="none")
    with Store(pipeline(**dataset)) as store:
        assert store.frame == Frame()
        assert store.cases("test")[0].shape == (8, 6, 10)
        assert not any(case.notes for case in store.cases("train"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"orientation": "LLS"}, "orientation LLS must name each axis once, as LPS and RAS do"),
        ({"orientation": "up"}, "orientation"),
        ({"spacing": [1, 1, 2], "dimensions": 2}, "spacing is for volumes"),
        ({"spacing": [1, 1, 0], "dimensions": 3}, "spacing"),
        ({"spacing": [1, 1, 2], "dimensions": 3, "shrink": [2, 2, 1]}, "give spacing alone"),
        ({"kind": "la", "source": "raw", "spacing": "median"}, "fixed for kind: la"),
    ],
)
def test_impossible_geometries_are_refused(pipeline, own, keys, message):
    dataset = custom(own) | keys
    if keys.get("kind"):
        del dataset["dimensions"], dataset["classes"]
    assert message in str(pipeline(**dataset))


def test_what_is_odd_stands_in_the_store(pipeline, own):
    write(own / "c.mha", 500 * np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE))
    with Store(pipeline(**custom(own, classes=["one", "two", "three"]))) as store:
        assert len(store.remarks) == 3
        assert "no train label map holds three: nobody can learn it" in store.remarks
        assert store.cases("test")[0].levels == pytest.approx(store.cases("val")[0].levels, abs=100)


def test_training_labels_without_any_structure_are_refused(pipeline, own):
    for name in ("a_label.nii.gz", "c_label.mha"):
        write(own / name, np.zeros(SHAPE, np.uint8))
    assert "no training label map holds any structure" in pipeline(**custom(own))


def mapped(folder, labels, **keys):
    dataset = custom(folder, labels=labels, **keys)
    return {key: value for key, value in dataset.items() if key != "classes" or key in keys}


@pytest.mark.parametrize("classes", [{}, {"classes": ["tumor", "liver"]}])
def test_labels_say_which_value_is_which_class(pipeline, own, classes):
    values = np.array([0, 7, 255, 3])
    for _, _, label, _, _ in ROWS:
        if label:
            held = values[good_label()].astype(np.int16)
            held[0, 0, 0], held[0, 0, 1] = 9, 3
            write(own / label, held)
    with Store(pipeline(**mapped(own, {"tumor": [7, 9], "liver": 255}, **classes))) as store:
        assert store.classes == ("tumor", "liver")
        expected = good_label()
        expected[0, 0, 0] = 1
        np.testing.assert_array_equal(store.label("t"), expected)
        assert store.cases("test")[0].notes == ("label values taken as background: 3",)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"labels": {"a": 1, "b": [1, 2]}}, "labels: 1 stands in it twice"),
        ({"labels": {"a": 1}, "classes": ["b"]}, "labels tells of a, classes of b; leave out classes"),
        ({"labels": {"a": []}}, "labels"),
        ({"labels": {"a": 1.5}}, "labels"),
    ],
)
def test_impossible_labels_are_refused(pipeline, own, keys, message):
    assert message in str(pipeline(**mapped(own, **keys)))


def test_the_order_of_labels_outlives_the_excerpt_of_a_stage(own):
    study = parse_config({"name": "t", "datasets": {"d": mapped(own, {"tumor": 2, "liver": 1})}})
    again = load_config(excerpt(study, "preprocess", "d"))
    assert describe(again.dataset("d")) == describe(study.dataset("d"))
    assert describe(again.dataset("d")).mapped == ((2,), (1,))
