"""The difference between what runs reach and what the paper prints."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from m3hl.evaluation.summary import seed_table
from m3hl.reporting.against_paper import beside_paper, difference
from m3hl.reporting.sections import results
from m3hl.reporting.study import load_study


@pytest.fixture
def public(make_config):
    """Return a configuration of the real data sets' kinds with the paper's labeled counts."""
    return make_config(
        datasets={
            "hearts": {"kind": "acdc", "source": "public", "path": "x"},
            "atria": {"kind": "la", "source": "public", "path": "x"},
        },
        experiments=[
            {"dataset": [name], "method": ["supervised", "m3hl"], "labeled": [labeled], "seed": [1, 2]}
            for name, labeled in (("hearts", 7), ("atria", 8))
        ],
    )


@pytest.fixture
def results_of_public(public, results, finish_run):
    """Return a folder in which the runs on hearts have ended, and none on atria."""
    for run in public.runs():
        if run.dataset == "hearts":
            finish_run(results, public, run)
    return results


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6).filter(lambda v: np.std(v) > 1e-6), st.floats(0, 100))
def test_the_interval_is_the_one_of_a_t_test(values, printed):
    found = difference(values, printed)
    interval = stats.ttest_1samp(values, printed).confidence_interval(0.95)
    assert found.value == pytest.approx(np.mean(values) - printed)
    assert (found.low + printed, found.high + printed) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_one_seed_has_no_interval():
    found = difference([90.0], 90.47)
    assert found.value == pytest.approx(-0.47)
    assert isnan(found.low)
    assert isnan(found.std)


def test_each_method_stands_beside_its_printed_row(public, results_of_public):
    study = load_study(public, results_of_public)
    supervised, ours = beside_paper(study, "hearts")
    assert (supervised.published.dice, ours.published.dice) == (79.41, 90.47)
    table = seed_table(study.metrics, "failures").set_index(["dataset", "method", "labeled"])
    found = ours.differences["failures"]["hd95"]
    assert found.mean == pytest.approx(table.loc[("hearts", "m3hl", 7), "hd95_mean"])
    assert found.std == pytest.approx(table.loc[("hearts", "m3hl", 7), "hd95_std"])
    assert found.value == pytest.approx(found.mean - 1.43)


def test_a_row_without_runs_is_a_gap(public, results_of_public):
    study = load_study(public, results_of_public)
    (_, ours) = beside_paper(study, "atria")
    assert ours.differences == {}
    (table,) = [t for t in results.dataset_content(study, "atria")["exports"] if t.name == "against-paper-atria"]
    row = table.shown.set_index(["Method", "Metric"]).loc[("M³HL", "Dice (%)")]
    assert (row["Printed"], row["Reproduced"], row["Difference"], row["95 % interval"]) == ("91.01", "–", "–", "–")


def test_a_method_with_a_turned_knob_is_no_row_of_the_paper(make_config, results):
    config = make_config(
        datasets={"hearts": {"kind": "acdc", "source": "public", "path": "x"}},
        methods={
            "m3hl": {"method": "m3hl", "preset": "paper"},
            "other": {"method": "m3hl", "preset": "paper", "options": {"mask_ratio": 0.3}},
        },
        experiments=[{"dataset": ["hearts"], "method": ["m3hl", "other"], "labeled": [7], "seed": [1]}],
    )
    assert [beside.row.method for beside in beside_paper(load_study(config, results), "hearts")] == ["m3hl"]


def test_phantoms_have_nothing_to_stand_beside(whole, make_config):
    assert beside_paper(load_study(make_config(), whole), "hearts") == []
