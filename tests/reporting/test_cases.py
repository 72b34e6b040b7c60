"""The section of cases: its table, figures and tests, with gaps, and in which order."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from m3hl.reporting.exports import Table, collect, latex
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.page import gather, render
from m3hl.reporting.sections import cases
from m3hl.reporting.study import load_study
from m3hl.reporting.text import number

FIRST = {"dataset": ["hearts"], "method": ["supervised", "m3hl"], "labeled": [3], "seed": [1, 2]}


def section(study):
    """Return the text of the section, without tags, one space between words."""
    html = render(study, {cases: cases.content(study)})
    (html,) = re.findall(r'<section id="cases".*?</section>', html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def hearts(study):
    """Return what is shown of the first data set."""
    return cases.content(study)["datasets"][0]


@pytest.fixture
def study(whole, make_config):
    return load_study(make_config(), whole)


def change(folder, run, edit):
    """Edit a run's metrics."""
    path = folder / run.path / "metrics.csv"
    edit(pd.read_csv(path)).to_csv(path, index=False)


def grouped(rows):
    return rows.assign(group=rows["case"].replace({"case0": "p0", "case1": "p0", "case2": "p1"}))


def test_a_table_has_every_case_worst_of_m3hl_first(study):
    found = hearts(study)
    metrics = study.metrics[(study.metrics["dataset"] == "hearts") & (study.metrics["method"] == "m3hl")]
    means = metrics.groupby("case")["dice"].mean()
    data = found["table"].data
    assert data["case"].tolist() == means.sort_values().index.tolist()
    assert data["m3hl_dice"].to_numpy() == pytest.approx(means.sort_values().to_numpy())
    assert data["m3hl_minus_supervised"].to_numpy() == pytest.approx(
        (data["m3hl_dice"] - data["supervised_dice"]).to_numpy()
    )
    structures = [f"m3hl_dice_{name}" for name in study.datasets["hearts"].classes]
    assert data[structures].mean(axis=1).to_numpy() == pytest.approx(data["m3hl_dice"].to_numpy())
    text = section(study)
    assert "worst of M³HL first" in text
    assert all(number(value) in text for value in data["m3hl_dice"])


def test_one_structure_has_no_columns_of_its_own(study):
    atria = cases.content(study)["datasets"][1]["table"].data
    assert [name for name in atria if name.startswith("m3hl")] == [
        "m3hl_test_selected", "m3hl_dice", "m3hl_minus_supervised", "m3hl_hd95", "m3hl_hd95_failures",
    ]  # fmt: skip


def test_a_sortable_table_has_one_head_per_cell_and_says_how_it_is_sorted(study):
    html = render(study, {cases: cases.content(study)})
    for table in re.findall(r'<table class="sortable">.*?</table>', html, flags=re.DOTALL):
        rows = re.findall(r"<tr>.*?</tr>", table, flags=re.DOTALL)
        assert len({len(re.findall(r"<t[hd]\b", row)) for row in rows[1:]}) == 1
        assert len(re.findall("aria-sort", table)) == 1
        spans = sum(map(int, re.findall(r'colspan="(\d+)"', rows[0])))
        assert spans + rows[0].count("<td>") == len(re.findall(r"<th\b", rows[1]))


def test_tables_and_drawings_have_names_of_their_own(study):
    names = [table.name for table in collect(cases.content(study), Table)]
    assert names == ["cases-hearts", "cases-atria", "case-tests"]
    drawings = [drawing.name for drawing in collect(cases.content(study), Drawing)]
    assert drawings == [
        "case-dice-hearts", "case-differences-hearts-m3hl_supervised",
        "case-dice-atria", "case-differences-atria-m3hl_supervised",
    ]  # fmt: skip
    assert r"p, Holm \\" in latex(cases.content(study)["tests"])


def test_the_test_is_told_with_what_it_cannot_say(study):
    text = section(study)
    assert "3 cases, mean over 2 seeds: 3 above and 0 below zero" in text
    assert "p = 0.250, corrected for 2 tests = 0.500. With so few, p cannot fall below 0.250." in text
    assert "It says nothing about the spread over seeds" in text
    assert "Holm: corrected for the 2 tests of this page together" in text


def test_one_comparison_is_not_corrected(whole, make_config):
    text = section(load_study(make_config(experiments=[FIRST]), whole))
    assert "p = 0.250. With" in text
    assert "Holm" not in text


def test_cases_of_a_patient_are_told_and_tested_as_one(results, make_config):
    config = make_config(experiments=[FIRST])
    for run in config.runs():
        change(results, run, grouped)
    study = load_study(config, results)
    assert "2 patients with 3 cases, mean over 2 seeds" in section(study)
    data = hearts(study)["table"].data
    assert dict(zip(data["case"], data["group"], strict=True)) == {"case0": "p0", "case1": "p0", "case2": "p1"}
    assert cases.content(study)["tests"].data[["n", "cases", "unit"]].to_numpy().tolist() == [[2, 3, "patient"]]


def test_one_method_gets_a_table_but_no_test(whole, make_config):
    study = load_study(make_config(experiments=[FIRST | {"method": ["m3hl"]}]), whole)
    assert cases.content(study)["tests"] is None
    assert hearts(study)["panels"] == []
    text = section(study)
    assert "No paired test: it takes M³HL and supervised training with the same labeled count" in text
    assert "points" not in text
    assert "3 test cases, worst of M³HL first" in text


def test_gaps_are_named(results, make_config):
    config = make_config()
    first, second, *_ = config.runs()
    assert first.method == "supervised"
    (results / first.path / "metrics.csv").unlink()
    text = section(load_study(config, results))
    assert "Supervised: 1 of 2 runs so far (evaluation has not ended)" in text
    assert "Differences are over the seeds that both methods have" in text
    assert "3 cases, one seed:" in text
    (results / second.path / "metrics.csv").unlink()
    text = section(load_study(config, results))
    assert "Not yet: Supervised (evaluation has not ended)" in text
    assert "No paired test: no seed and case has been evaluated both with M³HL and with supervised" in text


def test_a_study_without_results_says_so(tmp_path, make_config):
    study = load_study(make_config(), tmp_path)
    assert section(study).count("Not yet: no run has been evaluated yet") == 2
    assert list(collect(cases.content(study), Table)) == []


def test_a_case_that_one_method_lacks_is_a_dash(results, make_config):
    config = make_config(experiments=[FIRST])
    for run in config.runs():
        if run.method == "supervised":
            change(results, run, lambda rows: rows[rows["case"] != "case1"])
    table = hearts(load_study(config, results))["table"]
    row = table.data["case"].tolist().index("case1")
    assert np.isnan(table.data["supervised_dice"][row])
    assert table.shown["Supervised Dice"][row] == table.shown["M³HL − Supervised"][row] == "–"
    assert table.shown["M³HL Dice"][row] != "–"


def test_a_failed_structure_marks_the_distance(results, make_config):
    config = make_config(experiments=[FIRST])

    def miss(rows):
        first = rows.index == 0
        return rows.assign(
            missed=first, dice=rows["dice"].mask(first, 0.0), hd95=rows["hd95"].mask(first).where(first, 6.0)
        )

    run = next(run for run in config.runs() if run.method == "m3hl")
    change(results, run, miss)
    config = make_config(experiments=[FIRST | {"seed": [run.seed]}])
    study = load_study(config, results)
    data = hearts(study)["table"].data.set_index("case")
    assert data.loc["case0", ["m3hl_hd95", "m3hl_hd95_failures"]].tolist() == [4, 6]
    assert data.loc["case1", ["m3hl_hd95", "m3hl_hd95_failures"]].tolist() == [6, 6]
    text = section(study)
    assert "4.00* 6.00*" in text
    assert "* A structure is missed or spurious; the switch" in text


def test_weights_chosen_on_the_test_split_are_marked(results, make_config):
    config = make_config(experiments=[FIRST])
    assert "†" not in section(load_study(config, results))
    for run in config.runs():
        path = results / run.path / "run.json"
        record = json.loads(path.read_text())
        record["selection"]["rule"] = "test"
        path.write_text(json.dumps(record))
    study = load_study(config, results)
    text = section(study)
    assert re.search(r"mean \+[\d.]+† percentage points", text)
    assert "the p value and the interval are not valid" in text
    content = cases.content(study)
    assert content["tests"].data["test_selected"].all()
    assert content["tests"].data["holm_p"].isna().all()
    assert all(dataset["table"].data["m3hl_test_selected"].all() for dataset in content["datasets"])
    assert "M³HL† Dice" in hearts(study)["table"].shown


def test_only_long_tables_are_folded(study, monkeypatch):
    assert not hearts(study)["folded"]
    monkeypatch.setattr(cases, "UNFOLDED", 2)
    assert hearts(study)["folded"]
    assert '<details class="table">' in render(study, {cases: cases.content(study)})


def test_the_page_sorts_with_a_script_of_its_own(study):
    assert "table.sortable" in render(study, gather(study))
