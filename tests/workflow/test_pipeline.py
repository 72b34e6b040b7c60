"""The whole pipeline, from raw images to the report, and what runs again after a change."""

import csv
import json

import pytest

from m3hl.orchestration.plan import read_plan
from m3hl.orchestration.status import look_at

pytestmark = pytest.mark.slow
RUNS = [
    f"runs/{dataset}/{method}/labeled-1/seed-1"
    for dataset in ("hearts", "atria")
    for method in ("supervised", "m3hl")
]
ROWS = {"hearts": 2 * 3, "atria": 1}
"""Test cases times classes."""


@pytest.mark.parametrize("run", RUNS)
def test_a_run_leaves_weights_curve_metrics_and_records(finished, run):
    folder = finished.results / run
    names = "best.pt history.csv run.json metrics.csv predictions.h5 evaluation.json logs/train.log".split()  # noqa: SIM905
    assert [name for name in names if not (folder / name).is_file()] == []
    with (folder / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) == ROWS[run.split("/")[1]]
    with (folder / "history.csv").open() as file:
        assert [int(row["iteration"]) for row in csv.DictReader(file)] == [1, 2, 3, 4]
    record = json.loads((folder / "run.json").read_text())
    assert record["labeled_groups"] == ["patient001" if "hearts" in run else "atrium001"]
    assert record["provenance"]["threads"] == 1


def test_the_study_has_stores_a_table_and_a_page(finished):
    for name in ("data/hearts.h5", "data/atria.h5", "report.html"):
        assert (finished.results / name).stat().st_size > 0
    with (finished.results / "table1.csv").open() as file:
        rows = [(row["dataset"], row["method"], row["runs"], row["missing"]) for row in csv.DictReader(file)]
    assert len(rows) == 2 * len(RUNS)
    assert {row[2:] for row in rows} == {("1", "")}


def test_progress_is_shown(finished):
    for line in ("draw hearts", "hearts · m3hl · 1 labeled · seed 1", "evaluate atria/supervised"):
        assert line in finished.said()


def test_the_plan_and_the_end_of_each_run_can_be_told(finished):
    found = look_at(read_plan(finished.results), finished.results)
    assert [str(status.run.path) for status in found] == RUNS
    assert [status.state for status in found] == ["done"] * len(RUNS)


def test_a_dry_run_leaves_no_plan(workspace):
    assert workspace.planned()
    assert not workspace.results.exists()


def test_no_checkpoint_is_left_behind(finished):
    assert not list((finished.results / "work").rglob("*.pt"))


def test_nothing_runs_a_second_time(finished):
    assert finished.planned() == {}


def test_a_profile_chooses_the_precision_and_makes_nothing_anew(finished):
    choice = ["--set-resources", "train:precision=bf16", "train:compile=kernels"]
    assert finished.planned(*choice) == {}
    said = finished.snakemake("--dry-run", "--printshellcmds", "--forcerun", "train", *choice).stdout
    assert said.count("--precision bf16 --compile kernels --image-memory ") == len(RUNS)


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        (
            lambda s: s["experiments"][0].update(seed=[1, 2], dataset=["hearts"], method=["m3hl"]),
            {"train": 1, "evaluate": 1, "report": 1},
        ),
        (
            lambda s: s["methods"]["m3hl"]["options"].update(mask_ratio=0.25),
            {"train": 2, "evaluate": 2, "report": 1},
        ),
        (lambda s: s["datasets"]["atria"].update(evaluation={"stride": [8, 8, 8]}), {"evaluate": 2, "report": 1}),
        (
            lambda s: s["datasets"]["hearts"]["training"].update(iterations=6),
            {"train": 2, "evaluate": 2, "report": 1},
        ),
        (
            lambda s: s["datasets"]["atria"]["phantom"].update(seed=1),
            {"download": 1, "preprocess": 1, "train": 2, "evaluate": 2, "report": 1},
        ),
    ],
    ids=["seed", "method option", "stride", "iterations", "phantom"],
)
def test_a_change_runs_again_only_what_reads_it(finished, study, change, jobs):
    change(study)
    assert finished.planned(study=study) == jobs
