"""table1.csv, the comparison, and the answer's words, by hand."""

import io
from dataclasses import replace
from math import nan

import pandas as pd
import pytest

from m3hl.evaluation.metrics import COLUMNS
from m3hl.evaluation.summary import seed_table
from m3hl.reporting.casewise import case_test
from m3hl.reporting.comparison import compare
from m3hl.reporting.intervals import t_interval
from m3hl.reporting.sections import answer
from m3hl.reporting.study import load_study
from m3hl.reporting.tables import table1_csv
from m3hl.reporting.text import signed


def with_dice(study, dice):
    """Return the study's first data set with one case of the given Dice per (method, seed); None: not ended."""

    def metrics(value):
        row = dict.fromkeys(COLUMNS, 1.0) | {"case": "a", "group": "a", "class": "x", "dice": value}
        flags = dict.fromkeys(("missed", "spurious", "absent"), False)
        return None if value is None else pd.DataFrame([row | flags])

    dataset = study.results[0].run.dataset
    results = tuple(
        replace(result, metrics=metrics(dice[result.run.method, result.run.seed]))
        for result in study.results
        if result.run.dataset == dataset
    )
    return replace(study, results=results, datasets={dataset: study.datasets[dataset]})


@pytest.fixture
def study(whole, make_config):
    return load_study(make_config(), whole)


def test_table1_repeats_the_summary_and_keeps_gaps(results, make_config):
    config = make_config()
    (results / config.runs()[0].path / "metrics.csv").unlink()
    for run in config.runs():
        if run.dataset == "atria" and run.method == "m3hl":
            (results / run.path / "metrics.csv").unlink()
    study = load_study(config, results)
    table = pd.read_csv(io.StringIO(table1_csv(study)))
    assert len(table) == 2 * 2 * 2
    assert table["runs"].tolist() == [1, 1, 2, 2, 2, 2, 0, 0]
    assert table["planned"].eq(2).all()
    gap = table[table["runs"] == 0]
    assert gap["missing"].eq("evaluation has not ended").all()
    assert gap["dice_mean"].isna().all()
    for convention in ("published", "failures"):
        expected = seed_table(study.metrics, convention)
        got = table[(table["convention"] == convention) & (table["runs"] > 0)]
        for column in ("dice_mean", "dice_std", "asd_mean", "hd95_mm_std", "structures"):
            assert got[column].to_numpy() == pytest.approx(expected[column].to_numpy(dtype=float), nan_ok=True)


def test_gains_are_paired_by_seed(study):
    dice = {("m3hl", 1): 80, ("supervised", 1): 70, ("m3hl", 2): 90, ("supervised", 2): 60}
    (found,) = compare(with_dice(study, dice))
    assert (found.dice, found.baseline_dice, found.gain) == (85, 65, 20)
    assert found.gains == (10, 30)


def test_seeds_without_a_partner_are_left_out(study):
    dice = {("m3hl", 1): 80, ("supervised", 1): 70, ("m3hl", 2): 90, ("supervised", 2): None}
    (found,) = compare(with_dice(study, dice))
    assert (found.dice, found.gains) == (80, (10,))
    assert compare(with_dice(study, dice | {("m3hl", 1): None})) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (
            (80, 82),
            (70, 70),
            "M³HL reaches 81.0 % Dice, 11.0 percentage points above supervised training at 70.0 %",
        ),
        ((70, 70), (71, 73), "M³HL is not above supervised training: 70.0 % against 72.0 % Dice, 2.0 percentage"),
        ((70, 70), (70, 70), "M³HL is not above supervised training"),
        ((75, 69), (70, 70), "on average but not with every seed: 72.0 % against 70.0 % Dice, 2.0 percentage"),
    ],
)
def test_the_answer_claims_no_more_than_the_seeds_show(study, ours, theirs, words):
    dice = {("m3hl", s): d for s, d in enumerate(ours, 1)} | {
        ("supervised", s): d for s, d in enumerate(theirs, 1)
    }
    sentences = answer.content(with_dice(study, dice))["sentences"]
    assert words in " ".join(sentences[0].split())
    assert len(sentences) <= 3


def test_the_answer_has_an_interval_over_cases(study):
    (comparison, *_) = compare(study)
    test = case_test(comparison)
    low, high = (f"{signed(value, 1)}" for value in t_interval(test.differences))
    (sentence, *_) = answer.content(study)["sentences"]
    assert f"; 95 % interval over 3 cases {low} to {high})." in sentence


def test_many_data_sets_are_summed_up_in_one_sentence(study, make_config, whole):
    dice = {("m3hl", 1): 80, ("supervised", 1): 70, ("m3hl", 2): 90, ("supervised", 2): 60}
    one = with_dice(study, dice)
    names = ("a", "b", "c")
    copies = tuple(
        replace(result, run=result.run._replace(dataset=name)) for name in names for result in one.results
    )
    facts = dict.fromkeys(names, study.datasets["hearts"])
    (sentence, _) = answer.content(replace(one, results=copies, datasets=facts))["sentences"]
    assert "every seed in 3 of 3 comparisons" in sentence
    assert "+20.00 and +20.00 percentage points" in sentence


def test_nan_dice_gives_no_answer(study):
    dice = dict.fromkeys([("m3hl", 1), ("m3hl", 2), ("supervised", 1), ("supervised", 2)], nan)
    (first, *_) = answer.content(with_dice(study, dice))["sentences"]
    assert first.startswith("There is no answer yet")
