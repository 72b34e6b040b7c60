"""`m3hl evaluate`: one row per case and class, label maps on the raw images' grids, mistakes in one line."""

import json
import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

from m3hl.data.store import Store
from m3hl.evaluation.metrics import measure
from m3hl.evaluation.summary import DISTANCES, DISTANCES_MM
from m3hl.files.digests import sha256_file
from m3hl.inference.weights import Weights
from tests.commands.conftest import ATRIA, finished

COLUMNS = "case group class dice jaccard hd95 asd hd95_mm asd_mm missed spurious absent".split()  # noqa: SIM905


@pytest.fixture
def run(hearts, tmp_path):
    """Return a run's folder of one's own, with the 2D study's weights."""
    (tmp_path / "run").mkdir()
    shutil.copy(hearts.run / "best.pt", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def shrunk(tmp_path_factory):
    """Return a finished 3D study at half the resolution; not to be changed."""
    training = ATRIA["training"] | {"crop": [32, 16, 16]}
    dataset = ATRIA | {"shrink": [2, 2, 1], "training": training, "evaluation": {"stride": [24, 16, 16]}}
    return finished(tmp_path_factory.mktemp("shrunk"), dataset, labeled=1)


@pytest.fixture(params=["hearts", "atria", "shrunk"])
def study(request):
    """Return each finished study in turn."""
    return request.getfixturevalue(request.param)


def read_predictions(path):
    with h5py.File(path) as file:
        return {name: dataset[()] for name, dataset in file.items()}


def test_metrics_have_one_row_per_case_and_class(study):
    table = pd.read_csv(study.run / "metrics.csv")
    assert list(table) == COLUMNS
    with Store(study.store) as store:
        expected = [(case.name, case.group, name) for case in store.cases("test") for name in store.classes]
    assert list(table[["case", "group", "class"]].itertuples(index=False, name=None)) == expected


def test_metrics_are_those_of_the_stored_predictions(study):
    rows, predictions = [], read_predictions(study.run / "predictions.h5")
    with Store(study.store) as store:
        for case in store.cases("test"):
            assert predictions[case.name].dtype == np.uint8
            for row in measure(
                predictions[case.name], store.label(case.name), store.classes, case.geometry.spacing
            ):
                rows.append({"case": case.name, "group": case.group} | row)
        assert list(predictions) == [case.name for case in store.cases("test")]
    pd.testing.assert_frame_equal(pd.read_csv(study.run / "metrics.csv"), pd.DataFrame(rows))


def test_something_is_predicted(hearts, atria):
    for study in (hearts, atria):
        predictions = read_predictions(study.run / "predictions.h5").values()
        assert all(len(np.unique(prediction)) > 1 for prediction in predictions)


def test_a_further_network_is_measured_beside_the_first(m3hl, hearts, run):
    weights = Weights.load(run / "best.pt")
    # The same network with its output turned round: its numbers are others.
    weights.others = {"second": Weights.load(run / "best.pt")}
    with torch.no_grad():
        for parameter in list(weights.others["second"].network.parameters())[-2:]:
            parameter.neg_()
    weights.save(run / "best.pt")
    assert m3hl(*hearts("evaluate", run=run)) is None
    assert (run / "metrics.csv").read_bytes() == (hearts.run / "metrics.csv").read_bytes()
    (second,) = json.loads((run / "evaluation.json").read_text())["others"].values()
    assert second.pop("selection") == weights.selection

    weights.others["second"].save(run / "best.pt")
    assert m3hl(*hearts("evaluate", run=run)) is None
    rows = pd.read_csv(run / "metrics.csv").query("~absent")
    # The literature's convention.
    rows.loc[rows["missed"] | rows["spurious"], [*DISTANCES, *DISTANCES_MM]] = 0
    expected = rows.groupby("case")[list(second)].mean().mean()
    assert second == pytest.approx(expected.to_dict())
    assert second["dice"] != pytest.approx(pd.read_csv(hearts.run / "metrics.csv")["dice"].mean())


def test_the_record_says_how_and_from_what(hearts, atria):
    record = json.loads((hearts.run / "evaluation.json").read_text())
    assert list(record) == ["protocol", "split", "selection", "cases", "provenance", "seal", "sha256"]
    assert record["protocol"] == {"crop": [32, 32], "stride": None, "largest_component": False}
    assert (record["split"], record["cases"]) == ("test", 4)
    assert record["provenance"]["store_sha256"] == sha256_file(hearts.store)
    assert record["provenance"]["weights_sha256"] == sha256_file(hearts.run / "best.pt")
    record = json.loads((atria.run / "evaluation.json").read_text())
    assert record["protocol"] == {"crop": [32, 32, 32], "stride": [24, 32, 32], "largest_component": True}
    assert (record["split"], record["cases"]) == ("test", 1)


def test_nifti_label_maps_lie_on_the_grid_of_the_raw_image(study, raw_image):
    predictions = read_predictions(study.run / "predictions.h5")
    assert {path.name for path in study.nifti.iterdir()} == {f"{name}.nii.gz" for name in predictions}
    with Store(study.store) as store:
        for case in store.cases("test"):
            label = sitk.ReadImage(str(study.nifti / f"{case.name}.nii.gz"))
            image = sitk.ReadImage(str(raw_image(study, case.name)))
            assert label.GetSize() == image.GetSize()
            for get in ("GetSpacing", "GetOrigin", "GetDirection"):
                np.testing.assert_allclose(getattr(label, get)(), getattr(image, get)(), atol=1e-5)
            voxels = sitk.GetArrayFromImage(label)
            if store.dimensions == 3:
                voxels = voxels.transpose()
            window = tuple(
                slice(o, o + n) for o, n in zip(case.geometry.offset, predictions[case.name].shape, strict=True)
            )
            np.testing.assert_array_equal(voxels[window], predictions[case.name])
            voxels[window] = 0
            assert not voxels.any()


def test_the_3d_test_scan_was_cropped(atria):
    # So that the test above sees what happens outside the crop.
    with Store(atria.store) as store:
        assert store.cases("test")[0].geometry.offset[0] > 0


def test_the_validation_split_can_be_measured(m3hl, hearts, run):
    assert m3hl(*hearts("evaluate", run=run, split="val")) is None
    assert set(pd.read_csv(run / "val-metrics.csv")["group"]) == {"patient501"}
    assert json.loads((run / "val-evaluation.json").read_text())["split"] == "val"
    # What the report reads as the test split's is not touched.
    assert not (run / "metrics.csv").exists()


def test_fewer_cases_can_be_measured(m3hl, hearts, run):
    config = hearts.config("datasets.d.evaluation", {"cases": 3})
    assert m3hl(*hearts("evaluate", run=run, config=config)) is None
    whole = pd.read_csv(hearts.run / "metrics.csv")
    pd.testing.assert_frame_equal(pd.read_csv(run / "metrics.csv"), whole[:9])
    assert json.loads((run / "evaluation.json").read_text())["cases"] == 3


def test_evaluation_gives_the_same_files_twice(m3hl, hearts, run):
    assert m3hl(*hearts("evaluate", run=run)) is None
    for name in ("metrics.csv", "predictions.h5"):
        assert (run / name).read_bytes() == (hearts.run / name).read_bytes(), name


def test_a_mistake_is_one_line(mistake, hearts, atria, run, tmp_path):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "best.pt").write_bytes((run / "best.pt").read_bytes()[:1000])
    cases = [
        (hearts, {"dataset": "x"}, "unknown dataset 'x'; the config has d"),
        (hearts, {"run": "none"}, r"none/best\.pt: there is no such weights file; train the run first"),
        (hearts, {"run": tmp_path / "damaged"}, r"best\.pt: this weights file is damaged"),
        (hearts, {"store": "none.h5"}, r"none\.h5: there is no such store; make it with m3hl preprocess"),
        (hearts, {"store": atria.store}, "the store has 3D images of left atrium, the run wants 2D"),
        (hearts, {"run": atria.run}, "the store has 2D images of right ventricle, .* the run wants 3D"),
        (hearts, {"config": hearts.config("datasets.d.evaluatoin", {})}, "there is no such key; check the spell"),
        (atria, {"run": atria.run, "split": "val"}, "the val split is empty, so there is nothing to measure"),
    ]
    for study, options, message in cases:
        code, line = mistake(*study("evaluate", **({"run": run} | options)))
        assert code == 1
        assert re.search(message, line), line
    assert [path.name for path in run.iterdir()] == ["best.pt"]
    code, line = mistake(*hearts("evaluate", run=run, split="train"))
    assert code == 2
    assert "--split" in line


def test_nifti_needs_a_geometry(m3hl, hearts, run, tmp_path):
    store = shutil.copy(hearts.store, tmp_path)
    with h5py.File(store, "r+") as file:
        for case in file["cases"].values():
            for name in ("spacing", "origin", "direction", "axes", "offset", "size"):
                del case.attrs[name]
    line = m3hl(*hearts("evaluate", store=store, run=run, nifti=tmp_path / "nifti"))
    assert "does not tell where its voxels lie" in line
    assert m3hl(*hearts("evaluate", store=store, run=run)) is None
    assert pd.read_csv(run / "metrics.csv")[["hd95_mm", "asd_mm"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("name", "stride"),
    [("hearts", [8, 8]), ("hearts", [8, 8, 8]), ("atria", [8, 8]), ("atria", [24, 33, 32])],
)
def test_an_impossible_stride_is_refused(mistake, name, stride, request, tmp_path):
    study = request.getfixturevalue(name)
    shutil.copy(study.run / "best.pt", tmp_path)
    config = study.config("datasets.d.evaluation", {"stride": stride})
    code, line = mistake(*study("evaluate", run=tmp_path, config=config))
    assert code == 1
    assert "stride" in line


def test_a_shrunk_study_is_measured_on_the_original_grid(shrunk):
    with Store(shrunk.store) as store:
        assert store.shrink == (2, 2, 1)
        for case in store.cases("train"):
            assert store.label(case.name).shape == case.shape
        (case,) = store.cases("test")
        original = store.label(case.name).shape
    assert case.shape == tuple(-(-n // f) for n, f in zip(original, (2, 2, 1), strict=True))
    assert original[0] > case.shape[0]
    assert read_predictions(shrunk.run / "predictions.h5")[case.name].shape == original
    assert json.loads((shrunk.run / "evaluation.json").read_text())["protocol"]["shrink"] == [2, 2, 1]


def test_a_shrunk_study_segments_other_images_on_their_grid(m3hl, shrunk, raw_image, tmp_path):
    image = raw_image(shrunk, "atrium701")
    stride = "--stride", 24, 16, 16
    assert m3hl("predict", "--weights", shrunk.run / "best.pt", "--out", tmp_path, *stride, image) is None
    label = sitk.ReadImage(str(tmp_path / "lgemri.nii.gz"))
    assert label.GetSize() == sitk.ReadImage(str(image)).GetSize()
    assert set(np.unique(sitk.GetArrayFromImage(label))) <= {0, 1}
