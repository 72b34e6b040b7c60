"""Results in this repository: pages and tables say what the test volumes' numbers give, by plain Python."""

import csv
import json
import re
from pathlib import Path
from statistics import fmean

import pytest

from m3hl.config import methods

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
TABLE1, PARTIAL = REFERENCE / "table1-cpu", REFERENCE / "acdc-partial"
MEASURES = ("dice", "jaccard", "hd95", "asd")
SECTIONS = {"acdc": "ACDC, 7 labeled", "la": "LA, 8 labeled"}


def runs(study):
    return sorted(path.parent for path in study.glob("runs/*/*/*/*/metrics.csv"))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def place(run):
    dataset, method, labeled, seed = run.parts[-4:]
    return dataset, method, int(labeled.removeprefix("labeled-")), int(seed.removeprefix("seed-"))


def means(run, missed_distance):
    """Return Dice, Jaccard, 95HD and ASD of a run: the mean over the structures of a case, then over cases.

    A missed structure has overlap 0 and, in the table's two conventions, a distance of 0 or none.
    """
    cases = {}
    for row in rows(run / "metrics.csv"):
        cases.setdefault(row["case"], []).append(row)
    scores = []
    for measure in MEASURES:
        values = ([value(row[measure], missed_distance) for row in case] for case in cases.values())
        counted = ([number for number in case if number is not None] for case in values)
        scores.append(fmean(fmean(case) for case in counted if case))
    return scores


def value(text, missed_distance):
    return float(text) if text else missed_distance


def printed(dataset):
    """Return the README's table of a data set: from method to its four numbers, as they are written."""
    text = (TABLE1 / "README.md").read_text(encoding="utf-8")
    table = text.split(f"| {SECTIONS[dataset]} |")[1].split("\n\n")[0].splitlines()[2:]
    lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return {method: numbers[:4] for method, *numbers in lines}


@pytest.mark.parametrize(("convention", "missed_distance"), [("published", 0.0), ("failures", None)])
@pytest.mark.parametrize("run", [*runs(TABLE1), *runs(PARTIAL)], ids=lambda run: str(run.relative_to(REFERENCE)))
def test_a_runs_line_in_the_table_is_the_mean_of_its_volumes(run, convention, missed_distance):
    study = run.parents[4]
    dataset, method, labeled, _ = place(run)
    seeds = [other for other in runs(study) if place(other)[:3] == (dataset, method, labeled)]
    line = next(
        row
        for row in rows(study / "table1.csv")
        if (row["dataset"], row["method"], row["labeled"]) == (dataset, method, str(labeled))
        and row["convention"] == convention
    )
    expected = [fmean(column) for column in zip(*(means(seed, missed_distance) for seed in seeds), strict=True)]
    assert [float(line[f"{measure}_mean"]) for measure in MEASURES] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dataset", SECTIONS)
def test_the_page_says_what_was_measured(dataset):
    said = printed(dataset)
    measured = {}
    for run in runs(TABLE1):
        if place(run)[0] == dataset:
            measured.setdefault(place(run)[1], []).append(means(run, 0.0))
    assert len(said) == len(measured)
    for method, values in measured.items():
        columns = [fmean(column) for column in zip(*values, strict=True)]
        assert said[methods.load(method).TITLE] == [f"{value:.1f}" for value in columns], method


def test_the_page_counts_the_runs_that_have_ended():
    text = (TABLE1 / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\*\*(\d+) of 32 runs", text)[1] == str(len(runs(TABLE1)))


def test_the_partial_run_is_said_to_be_one_with_its_numbers():
    text = (PARTIAL / "README.md").read_text(encoding="utf-8")
    assert len(runs(PARTIAL)) == 2
    for run in runs(PARTIAL):
        record = json.loads((run / "run.json").read_text())
        assert f"first {record['settings']['iterations']} of 30 000 iterations" in text
        numbers = " | ".join(f"{value:.1f}" for value in means(run, 0.0))
        assert f"| {methods.load(place(run)[1]).TITLE} | {numbers} |" in text
