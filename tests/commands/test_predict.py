"""`m3hl predict`: the label map of any image on its own grid, the one that `m3hl evaluate` finds."""

import re

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from m3hl.data.store import Store
from m3hl.inference.network import new_network
from m3hl.inference.protocol import Protocol
from m3hl.inference.weights import Weights
from tests.own import write_network


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def predict(m3hl, tmp_path):
    """Return a function that segments images into a folder; it returns the error line, or the folder."""

    def run(study, *images, **options):
        extra = [part for name, value in options.items() for part in (f"--{name}", *value)]
        out = tmp_path / "out"
        return m3hl("predict", "--weights", study.run / "best.pt", "--out", out, *extra, *images) or out

    return run


def test_the_raw_images_of_test_cases_get_the_label_maps_of_the_evaluation(predict, hearts, raw_image):
    with Store(hearts.store) as store:
        images = {case.name: raw_image(hearts, case.name) for case in store.cases("test")}
    folder = predict(hearts, *images.values())
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in images.values())
    with h5py.File(hearts.run / "predictions.h5") as file:
        for name, image in images.items():
            np.testing.assert_array_equal(read(folder / image.name), file[name])


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "nrrd", "mha", "NRRD"])
def test_the_label_map_lies_on_the_images_grid_and_is_called_like_it(predict, hearts, raw_image, tmp_path, ending):
    image = sitk.ReadImage(str(raw_image(hearts, "patient701_frame01")))
    image.SetOrigin((-3.5, 20.25, 7.0))
    image.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / f"a.b.{ending}"))
    folder = predict(hearts, tmp_path / f"a.b.{ending}")
    assert [path.name for path in folder.iterdir()] == ["a.b.nii.gz"]
    label = sitk.ReadImage(str(folder / "a.b.nii.gz"))
    assert label.GetSize() == image.GetSize()
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(label, get)(), getattr(image, get)(), atol=1e-5)
    with h5py.File(hearts.run / "predictions.h5") as file:
        np.testing.assert_array_equal(sitk.GetArrayFromImage(label), file["patient701_frame01"])


@pytest.mark.parametrize(("options", "stride"), [({}, (18, 18, 4)), ({"stride": (24, 32, 32)}, (24, 32, 32))])
def test_a_volume_is_normalised_and_segmented_by_windows(predict, atria, raw_image, options, stride):
    image = raw_image(atria, "atrium701")
    label = read(predict(atria, image, **options) / "lgemri.nii.gz").transpose()
    volume = read(image).transpose().astype(np.float64)
    normal = ((volume - volume.mean()) / volume.std()).astype(np.float32)
    protocol = Protocol((32, 32, 32), stride, largest_component=True)
    network = Weights.load(atria.run / "best.pt").network
    (expected,) = protocol.segment(network, [torch.from_numpy(normal)])
    np.testing.assert_array_equal(label, expected)
    assert set(np.unique(label)) == {0, 1}


def test_mistakes_are_one_line(mistake, hearts, raw_image, tmp_path):
    good = raw_image(hearts, "patient701_frame01")
    (tmp_path / "x").mkdir()
    (tmp_path / "text.nrrd").write_text("x")
    (tmp_path / "x" / good.name).write_bytes(good.read_bytes())
    values = read(good).astype(np.float32)
    values[0, 0, 0] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "nan.nrrd"))
    weights, out = hearts.run / "best.pt", tmp_path / "out"
    cases = [
        ({}, [tmp_path / "none.nrrd"], r"none\.nrrd: there is no such image; check the path"),
        ({}, [tmp_path / "text.nrrd"], r"text\.nrrd: cannot read this image"),
        ({}, [tmp_path / "nan.nrrd"], r"nan\.nrrd: 1 voxels of the image are NaN or infinite"),
        ({}, [good, tmp_path / "x" / good.name], "two images are called patient701_frame01; .* different folders"),
        ({}, [good, good], "two images are called patient701_frame01"),
        ({"--stride": (8, 8, 8)}, [good], r"stride \[8, 8, 8\] is for 3D; 2D data are segmented slice by slice"),
        ({"--out": (tmp_path / "x",)}, [tmp_path / "x" / good.name], "the label map would take its place"),
        ({"--weights": (tmp_path / "none.pt",)}, [good], r"none\.pt: there is no such weights file"),
        ({"--weights": (good,)}, [good], "this weights file is damaged or no weights file"),
    ]
    for changes, images, message in cases:
        options = {"--weights": (weights,), "--out": (out,)} | changes
        code, line = mistake("predict", *(p for name, value in options.items() for p in (name, *value)), *images)
        assert code == 1
        assert re.search(message, line), line
        assert not out.exists()
    for arguments, message in [
        (["--out", out, good], "--weights"),
        (["--weights", weights, "--out", out], "IMAGES"),
        (["--weights", weights, "--out", out, "--stride", 0, 1, 1, good], "--stride"),
    ]:
        code, line = mistake("predict", *arguments)
        assert code == 2
        assert message in line, line
    assert (tmp_path / "x" / good.name).read_bytes() == good.read_bytes()


@pytest.fixture
def own(hearts, tmp_path, monkeypatch):
    """Return a run's folder whose weights are of a network of a user's own, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path)
    weights = Weights.load(hearts.run / "best.pt")
    options = weights.settings.options.model_copy(update={"consistency_loss": False})
    weights.settings = weights.settings.model_copy(update={"options": options, "network": "./net.py"})
    weights.network = new_network(weights.settings)
    weights.save(tmp_path / "run" / "best.pt")
    return tmp_path / "run"


def test_the_code_of_a_network_of_ones_own_is_run_where_it_is_named(m3hl, own, hearts, raw_image):
    command = "predict", "--weights", own / "best.pt", "--out", own, raw_image(hearts, "patient701_frame01")
    assert "are of a network of their own, './net.py', whose code would be run; if you trust it" in m3hl(*command)
    assert m3hl(*command, "--network", "./net.py") is None
    assert (own / "patient701_frame01.nii.gz").is_file()


def test_an_evaluation_runs_the_network_of_its_configuration(m3hl, own, hearts):
    assert "are of a network of their own, './net.py'" in m3hl(*hearts("evaluate", run=own))
    config = hearts.config("methods", {"m": {"method": "supervised", "network": "./net.py"}})
    assert m3hl(*hearts("evaluate", run=own, config=config)) is None
    assert (own / "metrics.csv").is_file()


def test_a_network_that_fails_later_is_named(m3hl, own, hearts, raw_image):
    write_network(own.parent, "later.py", edit=("self.first(images)", "self.third(images)"))
    command = "predict", "--weights", own / "best.pt", "--out", own, raw_image(hearts, "patient701_frame01")
    said = m3hl(*command, "--network", "./later.py")
    assert said.startswith("./later.py, line 18, in forward: AttributeError: ")
