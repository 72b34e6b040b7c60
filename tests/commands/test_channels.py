"""Cases with two images each, through the whole pipeline; only the second one shows the structure."""

import json

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from m3hl.data.store import Store
from m3hl.inference.weights import Weights
from tests.commands.conftest import Study, invoke, own_logging

CASES = {"a": "train", "b": "train", "c": "train", "v": "val", "t": "test", "u": "test"}
SHAPE, SPACING = (6, 24, 20), (1.0, 1.25, 3.0)
ROWS = [f"{name},{name}_1.nii.gz,{name}_2.nii.gz,{name}_label.nii.gz,{split}" for name, split in CASES.items()]


def write(path, array, *, orientation="LPS", **header):
    volume = sitk.GetImageFromArray(array)
    volume.SetSpacing(header.get("spacing", SPACING))
    volume.SetOrigin(header.get("origin", (3.0, -20.0, 7.5)))
    sitk.WriteImage(sitk.DICOMOrient(volume, orientation), str(path))


def write_list(folder, rows, header="case,image_1,image_2,label,split"):
    (folder / "cases.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """Return a folder of cases: noise as first image, a block in noise as second; not to be changed."""
    folder, rng = tmp_path_factory.mktemp("two"), np.random.default_rng(4)
    for number, name in enumerate(CASES):
        label = np.zeros(SHAPE, np.uint8)
        label[1:5, 4 + number : 13 + number, 3:12] = 1
        write(folder / f"{name}_1.nii.gz", rng.normal(300, 40, SHAPE).astype(np.int16))
        # One lies in another order of axes than the first image of its case.
        second = (rng.normal(0, 20, SHAPE) + 200 * label).astype(np.int16)
        write(folder / f"{name}_2.nii.gz", second, orientation="SAR" if name == "b" else "LPS")
        write(folder / f"{name}_label.nii.gz", label)
    write_list(folder, ROWS)
    return folder


def study_of(folder, table, dimensions=2, **training):
    """Return a study of the cases in a list, whose files go to a folder."""
    return Study(
        folder,
        {
            "kind": "custom",
            "source": "folder",
            "path": str(table),
            "dimensions": dimensions,
            "classes": ["block"],
            "normalization": "minmax",
            "training": {
                "crop": [32, 32] if dimensions == 2 else [32, 16, 16],
                "iterations": 100,
                "validate_every": 40,
                "labeled_batch": 6,
            }
            | training,
            "evaluation": {} if dimensions == 2 else {"stride": [16, 16, 16]},
        },
    )


def ran(study, *stages, **options):
    with own_logging():
        for stage in stages:
            line = invoke(*study(stage, **(options if stage == "train" else {})))
            if line is not None:
                return line
    return None


@pytest.fixture(scope="session")
def two(tmp_path_factory, scans):
    """Return a finished 2D study with two images per case; not to be changed."""
    study = study_of(tmp_path_factory.mktemp("study"), scans / "cases.csv")
    line = ran(study, "download", "preprocess", "train", "evaluate", method="supervised", labeled=3)
    assert line is None
    return study


def voxels(path):
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")).astype(np.float64)


def test_the_store_has_both_images_each_normalised_on_its_own(two, scans):
    with Store(two.store) as store:
        assert store.images == ("image_1", "image_2")
        for name in CASES:
            image = store.image(name)
            assert image.shape == (2, *SHAPE)
            for number, channel in enumerate(image, start=1):
                raw = voxels(scans / f"{name}_{number}.nii.gz")
                np.testing.assert_allclose(channel, (raw - raw.min()) / np.ptp(raw), atol=1e-6)
        (turned,) = (case for case in store.cases("train") if case.name == "b")
        assert turned.notes == ("image_2: turned from SAR to image_1's LPS",)
        assert len(turned.levels) == 6
        store.verify()


def test_a_network_learns_what_only_the_second_image_shows(two):
    with h5py.File(two.run / "predictions.h5") as found, Store(two.store) as store:
        for name in ("t", "u"):
            truth, prediction = store.label(name), found[name][()]
            assert 2 * (truth & prediction).sum() / (truth.sum() + prediction.sum()) > 0.85


def test_weights_know_the_images(two):
    weights = Weights.load(two.run / "best.pt")
    assert weights.settings.images == ("image_1", "image_2")
    assert weights.network.encoder.level0.conv1.weight.shape[1] == 2
    record = json.loads((two.run / "run.json").read_text())
    assert record["settings"]["images"] == ["image_1", "image_2"]


def test_listed_scans_get_the_label_maps_of_the_evaluation(m3hl, two, scans, tmp_path):
    weights = "--weights", two.run / "best.pt"
    # In another order, and with columns that are of no use here.
    write_list(
        tmp_path,
        [f"{n},x,{scans}/{n}_2.nii.gz,{scans}/{n}_1.nii.gz" for n in ("u", "t")],
        "case,split,image_2,image_1",
    )
    assert m3hl("predict", *weights, "--list", tmp_path / "cases.csv", "--out", tmp_path / "out") is None
    with h5py.File(two.run / "predictions.h5") as found:
        for name in ("t", "u"):
            label = sitk.ReadImage(str(tmp_path / "out" / f"{name}.nii.gz"))
            np.testing.assert_array_equal(sitk.GetArrayFromImage(label), found[name])
            assert label.GetOrigin() == pytest.approx((3.0, -20.0, 7.5))
    # The training's own list does as well.
    assert m3hl("predict", *weights, "--list", scans / "cases.csv", "--out", tmp_path / "all") is None
    assert len(list((tmp_path / "all").iterdir())) == len(CASES)


def test_a_list_may_have_one_image_for_each_scan(m3hl, hearts, raw_image, tmp_path):
    write_list(tmp_path, [f"heart,{raw_image(hearts, 'patient701_frame01')}"], "case,image")
    out = tmp_path / "out"
    assert (
        m3hl("predict", "--weights", hearts.run / "best.pt", "--list", tmp_path / "cases.csv", "--out", out)
        is None
    )
    with h5py.File(hearts.run / "predictions.h5") as found:
        label = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "heart.nii.gz")))
        np.testing.assert_array_equal(label, found["patient701_frame01"][()])


def test_a_scan_with_another_number_of_images_is_refused(m3hl, two, scans, tmp_path):
    weights = "--weights", two.run / "best.pt", "--out", tmp_path / "out"
    line = m3hl("predict", *weights, scans / "t_2.nii.gz")
    assert "trained on image_1, image_2 of each case, this scan has one image; list them in a CSV with the" in line
    assert "columns case, image_1, image_2, and give it with --list" in line
    write_list(tmp_path, [f"t,{scans}/t_1.nii.gz"], "case,image")
    assert "this scan has one image" in m3hl("predict", *weights, "--list", tmp_path / "cases.csv")
    three = ",".join(f"{scans}/{name}" for name in ("t_1.nii.gz", "t_2.nii.gz", "u_1.nii.gz"))
    write_list(tmp_path, [f"t,{three}"], "case,image_1,image_2,image_3")
    assert "this scan has image_1, image_2, image_3" in m3hl("predict", *weights, "--list", tmp_path / "cases.csv")
    write_list(tmp_path, [f"../t,{scans}/t_1.nii.gz,{scans}/t_2.nii.gz"], "case,image_1,image_2")
    assert "'../t' cannot name a case" in m3hl("predict", *weights, "--list", tmp_path / "cases.csv")
    write_list(tmp_path, [], "case,image_1,image_2")
    assert "this list of scans is empty" in m3hl("predict", *weights, "--list", tmp_path / "cases.csv")
    assert not (tmp_path / "out").exists()


def test_either_images_or_a_list_is_given(mistake, two, scans, tmp_path):
    weights = "--weights", two.run / "best.pt", "--out", tmp_path
    for arguments in ((), (scans / "t_1.nii.gz", "--list", scans / "cases.csv")):
        code, line = mistake("predict", *weights, *arguments)
        assert code == 2
        assert "give either IMAGES or --list" in line


def test_weights_of_one_image_do_not_take_two(m3hl, two, scans, hearts, tmp_path):
    line = m3hl("predict", "--weights", hearts.run / "best.pt", "--list", scans / "cases.csv", "--out", tmp_path)
    assert "trained on one image of each case, this scan has image_1, image_2" in line
    assert "the store has images" in (line := m3hl(*hearts("evaluate", store=two.store))), line


WRONG = {
    "both kinds of columns": (
        ["a,a_1.nii.gz,a_2.nii.gz,a_label.nii.gz,train"],
        "case,image,image_1,label,split",
        "it has the columns image and image_1; where cases have several images",
    ),
    "a gap": (ROWS, "case,image_1,image_3,label,split", "are image_1, image_3, expected image_1, image_2; rename"),
    "from 0": (
        ROWS,
        "case,image_0,image_1,label,split",
        "are image_0, image_1, expected image_1, image_2; rename",
    ),
    "names": (ROWS, "case,image_T1,image_T2,label,split", "image_T1, image_T2, expected image_1, image_2; rename"),
    "twice": (ROWS, "case,image_1,image_1,label,split", "are image_1, image_1, expected image_1, image_2; rename"),
    "an empty cell": (
        [ROWS[0], "b,b_1.nii.gz,,b_label.nii.gz,train", *ROWS[2:]],
        "case,image_1,image_2,label,split",
        "case b has no image_2; give its path, relative to the CSV",
    ),
    "one file twice": (
        ["a,a_1.nii.gz,a_1.nii.gz,a_label.nii.gz,train", *ROWS[1:]],
        "case,image_1,image_2,label,split",
        "image_1 and image_2 of case a are one file; correct one",
    ),
    "a missing file": (
        ["a,a_1.nii.gz,none.nii.gz,a_label.nii.gz,train", *ROWS[1:]],
        "case,image_1,image_2,label,split",
        "none.nii.gz: there is no such file",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_lists_are_one_line(scans, tmp_path, wrong):
    rows, header, said = WRONG[wrong]
    for path in scans.glob("*.nii.gz"):
        (tmp_path / path.name).symlink_to(path)
    write_list(tmp_path, rows, header)
    assert said in ran(study_of(tmp_path, tmp_path / "cases.csv"), "download", "preprocess")


@pytest.mark.parametrize(
    ("header", "shape", "said"),
    [
        (
            {"origin": (3.5, -20.0, 7.5)},
            SHAPE,
            "image_2's origin is (3.5, -20.0, 7.5), image_1's (3.0, -20.0, 7.5)",
        ),
        ({"spacing": (1.0, 1.25, 3.3)}, SHAPE, "image_2's spacing is"),
        ({}, (5, 24, 20), "image_2 has shape (5, 24, 20), image_1 (6, 24, 20); they must be equal"),
    ],
)
def test_images_on_different_grids_are_refused(scans, tmp_path, rng, header, shape, said):
    for path in scans.glob("*.nii.gz"):
        if path.name != "c_2.nii.gz":
            (tmp_path / path.name).symlink_to(path)
    write(tmp_path / "c_2.nii.gz", rng.normal(0, 9, shape).astype(np.int16), **header)
    write_list(tmp_path, ROWS)
    line = ran(study_of(tmp_path, tmp_path / "cases.csv"), "download", "preprocess")
    assert "c_2.nii.gz: " in line
    assert said in line


def test_a_damaged_second_image_is_named(scans, tmp_path):
    for path in scans.glob("*.nii.gz"):
        if path.name != "c_2.nii.gz":
            (tmp_path / path.name).symlink_to(path)
    write(tmp_path / "c_2.nii.gz", np.zeros(SHAPE, np.int16))
    write_list(tmp_path, ROWS)
    study = study_of(tmp_path, tmp_path / "cases.csv")
    assert "c_2.nii.gz (c): every voxel of the image is 0" in ran(study, "download", "preprocess")


def test_one_numbered_image_is_an_image(scans, tmp_path):
    stores = []
    for column in ("image", "image_1"):
        folder = tmp_path / column
        folder.mkdir()
        rows = [
            f"{name},{scans}/{name}_2.nii.gz,{scans}/{name}_label.nii.gz,{split}" for name, split in CASES.items()
        ]
        write_list(folder, rows, f"case,{column},label,split")
        study = study_of(folder, folder / "cases.csv")
        assert ran(study, "download", "preprocess") is None
        with h5py.File(study.store) as file:
            assert "images" not in file.attrs
            stores.append({name: dict(case.attrs)["image_sha256"] for name, case in file["cases"].items()})
            assert set(file["cases/a"]) == {"image", "label"}
    assert stores[0] == stores[1]


def test_volumes_with_two_images_are_resampled_trained_on_and_segmented(scans, tmp_path):
    study = study_of(tmp_path, scans / "cases.csv", 3, iterations=2, validate_every=2)
    study.values["datasets"]["d"]["spacing"] = [2.0, 2.5, 3.0]
    study.values["datasets"]["d"]["training"]["labeled_batch"] = 2
    assert ran(study, "download", "preprocess", "train", "evaluate", labeled=2) is None
    with Store(study.store) as store:
        assert store.image("t").shape == (2, 10, 12, 6)
        assert store.label("t").shape == (20, 24, 6)
    line = invoke(
        *("predict", "--weights", study.run / "best.pt", "--list", scans / "cases.csv", "--out", tmp_path / "out"),
        *("--stride", 16, 16, 16, "--probabilities"),
    )
    assert line is None
    label = sitk.ReadImage(str(tmp_path / "out" / "t.nii.gz"))
    assert label.GetSize() == (20, 24, 6)
    assert (tmp_path / "out" / "t-probability-block.nii.gz").is_file()


def test_images_that_stay_in_the_store_give_the_same_run(two, scans, tmp_path):
    study, runs = study_of(tmp_path, scans / "cases.csv", iterations=3, validate_every=3, labeled_batch=2), []
    study.store = two.store
    for memory in (1000, 0):
        study.run = tmp_path / str(memory)
        assert ran(study, "train", **{"labeled": 2, "image-memory": memory}) is None
        runs.append(torch.load(study.run / "best.pt", weights_only=True)["network"])
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])


def test_the_sheet_shows_both_images_and_the_check_finds_nothing(program, two, scans, tmp_path):
    code, out, _ = program("check", two.config(), "--sheet", tmp_path / "sheet.png")
    assert (code, out.splitlines()) == (0, ["○ d  b  image_2: turned from SAR to image_1's LPS"])
    assert Image.open(tmp_path / "sheet.png").size == (6 * 192, 2 * (16 + 192))
