"""Scans of one's own in several orientations and spacings, through the whole pipeline."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from m3hl.data.store import Store
from m3hl.inference.weights import Weights
from tests.commands.conftest import finished
from tests.scans import write_dicom

CASES = [
    ("a", "train", "LPS", (1.0, 1.0, 2.0)),
    ("b", "train", "RSA", (1.0, 1.0, 2.0)),
    ("c", "train", "LPS", (1.0, 1.0, 4.0)),
    ("v", "val", "LPS", (1.0, 1.0, 2.0)),
    ("t", "test", "IAR", (1.0, 1.0, 4.0)),
    ("e", "test", "LPS", (1.0, 1.0, 2.0)),
]


def write_scans(folder):
    """Write cases with a bright block, of which the last holds nothing, and their list."""
    rng = np.random.default_rng(2)
    rows = ["case;image;label;split"]
    for name, split, orientation, spacing in CASES:
        depth = round(40 / spacing[2])
        label = np.zeros((depth, 20, 18), np.uint8)
        label[depth // 4 : depth // 2, 4:12, 3:9] = name != "e"
        image = rng.normal(0, 20, label.shape) + 200 * label
        for array, ending in ((image.astype(np.int16), ""), (label, "_label")):
            volume = sitk.GetImageFromArray(array)
            volume.SetSpacing(spacing)
            volume.SetOrigin((3.0, -20.0, 7.5))
            sitk.WriteImage(sitk.DICOMOrient(volume, orientation), str(folder / f"{name}{ending}.nii.gz"))
        rows.append(f"{name};{name}.nii.gz;{name}_label.nii.gz;{split}")
    (folder / "cases.csv").write_text("\n".join(rows))


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """Return a finished 3D study of one's own scans; not to be changed."""
    folder = tmp_path_factory.mktemp("own")
    write_scans(folder)
    dataset = {
        "kind": "custom",
        "source": "folder",
        "path": str(folder / "cases.csv"),
        "dimensions": 3,
        "classes": ["block"],
        "training": {"crop": [32, 16, 16], "iterations": 2, "validate_every": 2},
        "evaluation": {"stride": [16, 16, 16]},
    }
    study = finished(folder, dataset, labeled=3)
    study.scans = folder
    return study


def test_weights_know_the_geometry_of_their_study(own):
    with Store(own.store) as store:
        assert store.frame == Weights.load(own.run / "best.pt").frame
        assert store.frame.orientation == "LPS"
        assert store.frame.spacing == (1.0, 1.0, 2.0)


@pytest.mark.parametrize("name", ["t", "e"])
def test_label_maps_lie_on_the_files_own_grid_in_evaluation_and_prediction(m3hl, own, tmp_path, name):
    scan = own.scans / f"{name}.nii.gz"
    stride = "--stride", 16, 16, 16
    assert m3hl("predict", "--weights", own.run / "best.pt", "--out", tmp_path, *stride, scan) is None
    image, evaluated, predicted = (
        sitk.ReadImage(str(path)) for path in (scan, own.nifti / f"{name}.nii.gz", tmp_path / f"{name}.nii.gz")
    )
    for label in (evaluated, predicted):
        assert label.GetSize() == image.GetSize()
        for get in ("GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(label, get)(), getattr(image, get)(), atol=1e-5)
    np.testing.assert_array_equal(*(sitk.GetArrayFromImage(label) for label in (evaluated, predicted)))


def test_a_store_in_another_geometry_is_refused(m3hl, own, tmp_path):
    config = own.config("datasets.d.spacing", [2.0, 2.0, 2.0])
    store = tmp_path / "other.h5"
    assert m3hl(*own("preprocess", config=config, out=store)) is None
    line = m3hl(*own("evaluate", store=store))
    assert (
        "the store has orientation LPS, spacing 2×2×2 mm, the weights want orientation LPS, spacing 1×1×2" in line
    )


def test_folders_and_patterns_are_segmented(m3hl, own, tmp_path):
    scans = tmp_path / "scans"
    for name in ("a", "t"):
        (scans / name).mkdir(parents=True)
        (scans / f"{name}.nii.gz").write_bytes((own.scans / f"{name}.nii.gz").read_bytes())
    weights = "--weights", own.run / "best.pt", "--stride", 32, 16, 16
    assert m3hl("predict", *weights, "--out", tmp_path / "folder", scans) is None
    assert m3hl("predict", *weights, "--out", tmp_path / "pattern", scans / "*.nii.gz") is None
    for out in ("folder", "pattern"):
        assert sorted(path.name for path in (tmp_path / out).iterdir()) == ["a.nii.gz", "t.nii.gz"]
    assert "no file is called like this" in m3hl("predict", *weights, "--out", tmp_path, scans / "*.mha")
    assert "this folder holds no image" in m3hl("predict", *weights, "--out", tmp_path, scans / "a")


def test_dicom_is_segmented_and_what_is_unlike_training_is_said(program, own, tmp_path):
    rng = np.random.default_rng(0)
    write_dicom(tmp_path / "in" / "scan", rng.normal(9000, 9, (8, 16, 16)), spacing=(1.0, 1.0, 9.0))
    weights = "--weights", own.run / "best.pt", "--stride", 32, 16, 16
    code, _, said = program("predict", *weights, "--out", tmp_path / "out", tmp_path / "in")
    assert code == 0
    assert "scan: its spacing is 1×1×9 mm, in training it was 1×1×2 to 1×1×4 mm" in said
    assert "scan: its intensities are" in said
    label = sitk.ReadImage(str(tmp_path / "out" / "scan.nii.gz"))
    assert label.GetSize() == (16, 16, 8)
    assert label.GetOrigin() == pytest.approx((-10, 20, 5))
    code, _, said = program("predict", *weights, "--out", tmp_path / "out", own.scans / "a.nii.gz")
    assert "in training" not in said


def test_all_images_are_checked_before_the_first_is_segmented(m3hl, own, tmp_path):
    (tmp_path / "bad.nii.gz").write_bytes(b"x")
    images = own.scans / "a.nii.gz", tmp_path / "bad.nii.gz"
    weights = "--weights", own.run / "best.pt", "--stride", 32, 16, 16
    line = m3hl("predict", *weights, "--out", tmp_path / "out", *images)
    assert "bad.nii.gz: cannot read this image" in line
    assert not (tmp_path / "out").exists()


def test_several_runs_decide_by_the_mean_of_their_probabilities(m3hl, own, hearts, tmp_path):
    scan, stride = own.scans / "t.nii.gz", ("--stride", 32, 16, 16)
    other = Weights.load(own.run / "best.pt")
    with torch.no_grad():
        other.network.decoder.head.bias += torch.tensor([0.0, 0.2])
    other.save(tmp_path / "other.pt")
    files = {"one": [own.run / "best.pt"], "two": [tmp_path / "other.pt"]}
    files["both"] = files["one"] + files["two"]
    scores, labels = {}, {}
    for name, weights in files.items():
        given = [part for path in weights for part in ("--weights", path)]
        assert m3hl("predict", *given, *stride, "--probabilities", "--out", tmp_path / name, scan) is None
        scores[name] = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name / "t-probability-block.nii.gz")))
        labels[name] = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name / "t.nii.gz")))
        np.testing.assert_array_equal(labels[name], scores[name] > 0.5)
    np.testing.assert_allclose(scores["both"], (scores["one"] + scores["two"]) / 2, atol=1e-6)
    assert m3hl("predict", "--weights", own.run / "best.pt", *stride, "--out", tmp_path / "plain", scan) is None
    plain = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "plain" / "t.nii.gz")))
    np.testing.assert_array_equal(plain, labels["one"])
    strangers = "--weights", own.run / "best.pt", "--weights", hearts.run / "best.pt"
    assert "only runs on the same data can segment together" in m3hl(
        "predict", *strangers, "--out", tmp_path / "x", scan
    )


def test_slices_in_files_of_their_own_are_segmented(m3hl, hearts, tmp_path):
    rng = np.random.default_rng(0)
    for ending in ("png", "tif"):
        slices = sitk.GetImageFromArray(rng.integers(0, 4000, (32, 32)).astype(np.uint16))
        sitk.WriteImage(slices, str(tmp_path / f"{ending}1.{ending}"))
    assert m3hl("predict", "--weights", hearts.run / "best.pt", "--out", tmp_path / "out", tmp_path) is None
    for name in ("png1", "tif1"):
        assert sitk.ReadImage(str(tmp_path / "out" / f"{name}.nii.gz")).GetSize() == (32, 32, 1)
