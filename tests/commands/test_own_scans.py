"""Scans of one's own in several orientations and spacings, through the whole pipeline."""

import numpy as np
import pytest
import SimpleITK as sitk

from m3hl.data.store import Store
from m3hl.inference.weights import Weights
from tests.commands.conftest import finished

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
