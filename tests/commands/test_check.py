"""`m3hl check`: every problem of a data set at once, and a sheet of pictures."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from tests.scans import write_dicom

ROWS = """case;image;label;split
adam;adam.nii.gz;adam_label.nii.gz;train
bert;bert.nii.gz;bert_label.nii.gz;train
cora;cora.nii.gz;;train
dora;dora.nii.gz;dora_label.nii.gz;val
emil;scan;emil_label.nii.gz;test
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with five good cases, one of them a folder of DICOM."""
    rng = np.random.default_rng(3)
    for name in ("adam", "bert", "cora", "dora", "emil"):
        voxels = rng.integers(0, 900, (8, 20, 16)).astype(np.int16)
        label = np.zeros(voxels.shape, np.uint8)
        label[2:5, 5:12, 4:9] = 1
        image = sitk.GetImageFromArray(voxels)
        if name == "emil":
            write_dicom(tmp_path / "scan", voxels, spacing=(1.0, 1.0, 3.0))
            image.SetOrigin((-10, 20, 5))
        image.SetSpacing((1, 1, 3))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        mask = sitk.GetImageFromArray(label)
        mask.CopyInformation(image)
        sitk.WriteImage(mask, str(tmp_path / f"{name}_label.nii.gz"))
    (tmp_path / "cases.csv").write_text(ROWS)
    return tmp_path


@pytest.fixture
def check(program, folder):
    """Return a function that checks the cases; it returns the exit code and the lines that are printed."""

    def run(*arguments, dimensions=3, **keys):
        dataset = {
            "kind": "custom",
            "source": "folder",
            "path": str(folder / "cases.csv"),
            "dimensions": dimensions,
            "classes": ["liver"],
        }
        code, out, _ = program("check", json.dumps({"name": "x", "datasets": {"d": dataset | keys}}), *arguments)
        return code, out.splitlines()

    return run


def test_good_data_have_no_problems(check):
    assert check() == (0, ["✓ d  nothing wrong, nothing odd"])
    assert check("--json") == (0, [])


def test_every_problem_is_told_at_once(check, folder):
    (folder / "bert.nii.gz").write_bytes(b"x")
    (folder / "dora_label.nii.gz").unlink()
    label = sitk.ReadImage(str(folder / "emil_label.nii.gz"))
    sitk.WriteImage(label * 3, str(folder / "emil_label.nii.gz"))
    image = sitk.DICOMOrient(sitk.ReadImage(str(folder / "cora.nii.gz")), "RAS")
    sitk.WriteImage(image, str(folder / "cora.nii.gz"))
    (folder / "cases.csv").write_text(ROWS + "adam;adam.nii.gz;adam_label.nii.gz;test\ngina;;;train\n")
    code, lines = check("--json")
    assert code == 1
    found = [json.loads(line) for line in lines]
    stops = [(one["case"], one["what"]) for one in found if one["stops"]]
    expected = [
        ("", "adam is in both train and test"),
        ("", "case gina has no image"),
        ("dora", "dora_label.nii.gz: there is no such file"),
        ("bert", "bert.nii.gz: cannot read this image"),
        ("emil", "the label map holds 3, expected only 0, 1"),
    ]
    assert [case for case, _ in stops] == [case for case, _ in expected]
    for (_, what), (_, part) in zip(stops, expected, strict=True):
        assert part in what
    assert {"dataset": "d", "case": "cora", "what": "turned from RAS to LPS", "stops": False} in found


def test_an_image_in_two_splits_and_labels_without_structures_are_told(check, folder):
    for name in ("adam", "bert"):
        label = sitk.ReadImage(str(folder / f"{name}_label.nii.gz"))
        sitk.WriteImage(label * 0, str(folder / f"{name}_label.nii.gz"))
    (folder / "dora.nii.gz").write_bytes((folder / "adam.nii.gz").read_bytes())
    code, lines = check()
    assert code == 1
    assert any("the same image is case adam (train) and case dora (val)" in line for line in lines)
    assert any("no training label map holds any structure" in line for line in lines)
    assert any(line.startswith("○ d") and "no structure at all" in line for line in lines)


@pytest.mark.parametrize(("dimensions", "size"), [(3, (1152, 624)), (2, (960, 208))])
def test_the_sheet_shows_every_case_with_its_outline(check, folder, dimensions, size):
    assert check("--sheet", folder / "sheet.png", dimensions=dimensions)[0] == 0
    sheet = Image.open(folder / "sheet.png")
    assert sheet.size == size
    pixels = np.asarray(sheet).reshape(-1, 3)
    assert (pixels == (230, 159, 0)).all(1).sum() > 200


def test_a_list_that_cannot_be_read_is_one_line(mistake, folder):
    (folder / "cases.csv").write_text("x,y\n")
    dataset = {"kind": "custom", "source": "folder", "path": str(folder / "cases.csv"), "dimensions": 3}
    text = json.dumps({"name": "x", "datasets": {"d": dataset | {"classes": ["a"]}}})
    assert "has no column case, image, label, split" in mistake("check", text)[1]
    assert "unknown dataset 'e'" in mistake("check", text, "--dataset", "e")[1]
