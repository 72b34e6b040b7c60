"""What is read of a results folder."""

import pytest

from m3hl.errors import UserError
from m3hl.reporting.facts import dataset_facts
from m3hl.reporting.study import load_study


def test_rows_are_sorted_by_labels_then_by_method(tmp_path, make_config):
    block = {"dataset": ["hearts"], "method": ["m3hl", "supervised"], "labeled": ["all", 10, 3], "seed": [1]}
    study = load_study(make_config(experiments=[block]), tmp_path)
    assert [(row.labeled, row.method) for row in study.rows("hearts")] == [
        (3, "supervised"),
        (3, "m3hl"),
        (10, "supervised"),
        (10, "m3hl"),
        ("all", "supervised"),
        ("all", "m3hl"),
    ]
    assert list(study.datasets) == ["hearts"]


def test_nothing_to_report_is_said(tmp_path, make_config):
    with pytest.raises(UserError, match="no experiments"):
        load_study(make_config(experiments=[]), tmp_path)
    with pytest.raises(UserError, match="no such results folder"):
        load_study(make_config(), tmp_path / "absent")


def test_differences_name_every_setting_that_is_not_the_published_one(make_config, tmp_path):
    values = {
        "kind": "la",
        "source": "raw",
        "path": "raw",
        "hold_out": 2,
        "training": {"crop": [48, 48, 32], "iterations": 1500, "selection": "val", "channels": 16},
        "evaluation": {"cases": 1, "stride": [16, 16, 16]},
    }
    config = make_config(datasets={"la": values}, experiments=[])
    found = dataset_facts("la", config.datasets["la"], tmp_path).differences
    assert found == (
        "crop 48×48×32 instead of 112×112×80 voxels",
        "1\u202f500 iterations instead of 15\u202f000",
        "only the first 1 case of the test split",
        "sliding-window stride 16×16×16 instead of 18×18×4",
        "2 scans held out of training for validation",
        "scans cropped anew from the raw files, not the crops that the literature shares",
    )
    published = make_config(
        datasets={"a": {"kind": "acdc", "source": "public", "path": "x", "training": {"iterations": 30000}}},
        experiments=[],
    )
    assert dataset_facts("a", published.datasets["a"], tmp_path).differences == ()
