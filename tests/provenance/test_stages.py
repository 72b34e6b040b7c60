"""What each stage reads: an edit elsewhere must not run it again."""

import json

import pytest

from m3hl.config import methods
from m3hl.config.experiment import load_config, parse_config
from m3hl.provenance import stages
from m3hl.provenance.fingerprint import closure

STUDY = {
    "name": "study",
    "datasets": {
        "hearts": {
            "kind": "acdc",
            "source": "public",
            "path": "here",
            "device": "cpu",
            "training": {"iterations": 10},
            "evaluation": {"cases": 3},
        },
        "atria": {"kind": "la", "source": "phantom"},
    },
    "methods": {
        "m3hl": {"method": "m3hl", "options": {"mask_ratio": 0.4}},
        "supervised": {"method": "supervised"},
    },
    "experiments": [{"dataset": ["hearts"], "method": ["m3hl"], "labeled": [3]}],
}


@pytest.fixture
def study():
    return parse_config(STUDY)


@pytest.mark.parametrize(
    ("stage", "method", "keys"),
    [
        ("download", None, {"kind", "source", "path"}),
        ("preprocess", None, {"kind", "source", "path"}),
        ("train", "m3hl", {"kind", "source", "device", "training"}),
        ("evaluate", "m3hl", {"kind", "source", "device", "evaluation"}),
    ],
)
def test_a_stage_sees_only_the_keys_that_it_reads(study, stage, method, keys):
    values = json.loads(stages.excerpt(study, stage, "hearts", method))
    assert set(values["datasets"]["hearts"]) == keys
    assert list(values["datasets"]) == ["hearts"]
    assert list(values.get("methods", {})) == ([method] if method else [])


def test_a_change_of_resolution_makes_all_but_the_list_of_files_again():
    values = json.loads(json.dumps(STUDY))
    values["datasets"]["atria"]["shrink"] = [2, 2, 2]
    shrunk = parse_config(values)
    reads = {stage: "shrink" in stages.excerpt(shrunk, stage, "atria") for stage in stages.KEYS}
    assert reads == {"download": False, "preprocess": True, "train": True, "evaluate": True}


@pytest.mark.parametrize(
    ("stage", "reads"), [("download", True), ("preprocess", True), ("train", False), ("evaluate", False)]
)
def test_where_files_lie_matters_until_they_are_read(study, stage, reads):
    assert ("m3hl.data.datasets.acdc" in closure(stages.modules(study, stage, "hearts", "m3hl"))) == reads


def test_a_report_reads_every_row_of_the_papers_table(study):
    found = closure(stages.modules(study, "report"))
    assert {f"m3hl.config.methods.{methods.module_name(name)}" for name in methods.names()} <= found


def test_an_excerpt_gives_the_same_settings_as_the_whole(study):
    run = study.runs()[0]
    part = load_config(stages.excerpt(study, "train", "hearts", "m3hl"))
    assert part.settings(run) == study.settings(run)


def test_an_option_of_one_data_set_is_not_read_for_another():
    values = json.loads(json.dumps(STUDY))
    before = {name: stages.excerpt(parse_config(values), "train", name, "m3hl") for name in values["datasets"]}
    values["methods"]["m3hl"]["by_dataset"] = {"atria": {"mask_ratio": 0.3}}
    after = {name: stages.excerpt(parse_config(values), "train", name, "m3hl") for name in values["datasets"]}
    assert before["hearts"] == after["hearts"]
    assert json.loads(after["atria"])["methods"]["m3hl"]["options"] == {"mask_ratio": 0.3}


def test_stages_run_different_code(study):
    codes = {stages.code(study, stage, "hearts", "m3hl") for stage in (*stages.KEYS, "report")}
    assert len(codes) == 5


def test_code_differs_between_methods_and_dimensions(study):
    train = {stages.code(study, "train", d, m) for d in ("hearts", "atria") for m in ("m3hl", "supervised")}
    assert len(train) == 4
