"""The page's table of one's own scans, and cases in which there is nothing to find."""

from dataclasses import replace

import numpy as np
import pytest

from m3hl.config.datasets import describe
from m3hl.data.case import Case, Geometry
from m3hl.data.frame import Frame
from m3hl.data.store_writer import write_store
from m3hl.reporting.page import gather, render
from m3hl.reporting.sections import scans
from m3hl.reporting.study import load_study

OWN = {"kind": "custom", "source": "folder", "path": "cases.csv", "dimensions": 3, "classes": ["liver"]}
FLIPPED = (-1, 0, 0, 0, 1, 0, 0, 0, 1)
TURNED = Geometry((1.0, 1.0, 8.0), (0.0,) * 3, FLIPPED, (0, 1, 2), (0,) * 3, (20, 22, 4), (True, False, False))


def several(one, images):
    return one if images == 1 else replace(one, image=np.stack([one.image] * images))


def case(name, split, filled, rng):
    image = rng.standard_normal((20, 22, 16)).astype(np.float32)
    label = np.zeros(image.shape if split == "train" else TURNED.size, np.uint8)
    if filled:
        label[4:9, 4:9, 1:3] = 1
    notes = ("turned from RPS to LPS", "1×1×8 to 1×1×2 mm (20×22×4 to 20×22×16 voxels)")
    return Case(name, name, split, image, label, TURNED, notes)


@pytest.fixture
def study(make_study):
    """Return a study of one's own scans, one of which holds nothing to find."""
    return make_study()


@pytest.fixture
def make_study(tmp_path, make_config, finish_run):
    """Return a function that makes a study of one's own scans, with so many images each."""
    return lambda images=1: study_of(tmp_path, make_config, finish_run, images)


def study_of(tmp_path, make_config, finish_run, images):
    config = make_config(
        datasets={"own": OWN},
        experiments=[{"dataset": ["own"], "method": ["supervised", "m3hl"], "labeled": ["all"], "seed": [1]}],
    )
    rng = np.random.default_rng(0)
    write_store(
        tmp_path / "data" / "own.h5",
        kind="custom",
        source="folder",
        description=describe(config.dataset("own")),
        source_sha256="0" * 64,
        cases=[
            several(case(name, split, name != "empty", rng), images)
            for name, split in (("a", "train"), ("t", "test"), ("empty", "test"))
        ],
        labeled_order=("a",),
        frame=Frame("LPS", (1.0, 1.0, 2.0)),
    )
    for run in config.runs():
        finish_run(tmp_path, config, run)
    return load_study(config, tmp_path)


def test_every_scan_is_listed_with_what_was_changed(study):
    (own,) = scans.content(study)["datasets"]
    assert own["frame"] == "orientation LPS, spacing 1×1×2 mm"
    assert own["rows"][0] == {
        "case": "a",
        "split": "train",
        "size": "20×22×4",
        "spacing_mm": "1×1×8",
        "orientation": "RPS",
        "changed": "turned from RPS to LPS; 1×1×8 to 1×1×2 mm (20×22×4 to 20×22×16 voxels)",
    }
    assert [row["case"] for row in own["rows"]] == ["a", "t", "empty"]


def test_the_page_shows_cases_without_any_structure(study):
    assert study.metrics.set_index("case").loc["empty", "absent"].all()
    page = render(study, gather(study))
    assert "turned from RPS to LPS" in page
    assert ">empty<" in page


def test_studies_of_known_data_have_no_such_section(whole, tiny_config):
    assert scans.content(load_study(tiny_config, whole)) is None


def test_the_page_says_which_of_several_images_it_shows(make_study):
    study = make_study(images=2)
    page = render(study, gather(study))
    assert "Each scan has several images, which the networks see together: image_1, image_2." in page
    assert "Of each case's images image_1, image_2 the first is shown." in page
    one = make_study()
    assert "several images" not in render(one, gather(one))
