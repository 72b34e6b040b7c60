"""The test over cases against enumeration, scipy and hand-made numbers."""

from dataclasses import replace
from itertools import product
from math import isnan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from m3hl.evaluation.metrics import COLUMNS
from m3hl.reporting.casewise import case_dice, case_scores, case_tests, holm, paired_test
from m3hl.reporting.study import load_study

FLAGS = dict.fromkeys(("missed", "spurious", "absent"), False)


def with_dice(study, dice):
    """Return the study's hearts with the given Dice: {(method, seed): {(group, case): Dice or Dice per class}}."""

    def metrics(cases):
        return pd.DataFrame(
            dict.fromkeys(COLUMNS, 1.0)
            | {"case": case, "group": group, "class": str(number), "dice": value}
            | FLAGS
            for (group, case), values in cases.items()
            for number, value in enumerate(np.atleast_1d(values))
        )

    results = tuple(
        replace(
            result, metrics=metrics(dice[key]) if (key := (result.run.method, result.run.seed)) in dice else None
        )
        for result in study.results
        if result.run.dataset == "hearts"
    )
    return replace(study, results=results, datasets={"hearts": study.datasets["hearts"]})


@pytest.fixture
def study(whole, make_config):
    return load_study(make_config(), whole)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8, unique=True), st.data())
def test_p_is_the_share_of_signs_at_least_as_far_from_even(sizes, data):
    signs = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=len(sizes), max_size=len(sizes)))
    ranks = stats.rankdata(sizes)
    found = abs(np.dot(signs, ranks))
    sums = [abs(np.dot(flips, ranks)) for flips in product((-1, 1), repeat=len(sizes))]
    p = paired_test(np.multiply(sizes, signs) / 7).p
    assert p == pytest.approx(np.mean([total >= found - 1e-9 for total in sums]))


@pytest.mark.parametrize("n", [1, 3, 6, 20])
def test_p_is_least_where_all_differences_have_one_sign(n):
    result = paired_test(np.arange(1.0, n + 1))
    assert result.p == pytest.approx(result.least_p) == 2 / 2**n
    assert (result.n, result.above, result.below) == (n, n, 0)


def test_the_interval_is_that_of_the_t_test():
    differences = np.random.default_rng(0).normal(1, 2, 15)
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    result = paired_test(differences)
    assert (result.low, result.high) == pytest.approx(tuple(expected))
    assert result.mean == pytest.approx(differences.mean())
    # By hand: mean 2, deviation 1, and t(0.975; 2) = 4.3027.
    assert paired_test(np.array([1.0, 2, 3])).low == pytest.approx(2 - 4.30265 / np.sqrt(3), abs=1e-4)


def test_equal_cases_do_not_count_for_either_side():
    result = paired_test(np.array([0, 1e-14, 1, 2, 3]))
    assert result.p == paired_test(np.array([1.0, 2, 3])).p == 0.25
    assert (result.n, result.above, result.below) == (5, 3, 0)
    assert paired_test(np.zeros(4)).p == 1


def test_one_difference_has_no_interval():
    result = paired_test(np.array([2.0]))
    assert (result.mean, result.p) == (2, 1)
    assert isnan(result.low)
    assert isnan(result.high)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_a_case_is_the_mean_over_structures_and_seeds(study):
    cases = {("a", "a"): (10, 20, 60), ("b", "b"): (0, 0, 30)}
    dice = {("m3hl", 1): cases, ("m3hl", 2): {("a", "a"): (50, 50, 50), ("b", "b"): (20, 20, 20)}}
    (_, row) = with_dice(study, dice).rows("hearts")
    assert case_scores(row, "published")["dice"].to_dict() == {("a", "a"): 40, ("b", "b"): 15}
    assert case_dice(row, [1]).to_dict() == {("a", "a"): 30, ("b", "b"): 10}
    by_class = case_scores(row, "published", by=["class"])["dice"]
    assert by_class["2", "a", "a"] == 55


def test_the_test_pairs_cases_and_shared_seeds(study):
    ours, theirs = {("a", "a"): 80, ("b", "b"): 70, ("c", "c"): 10}, {("a", "a"): 60, ("b", "b"): 71}
    dice = {("m3hl", 1): ours, ("m3hl", 2): dict.fromkeys(ours, 0), ("supervised", 1): theirs}
    (test,) = case_tests(with_dice(study, dice))
    assert test.seeds == (1,)
    assert test.differences.to_dict() == {"a": 20, "b": -1}
    assert not test.grouped
    assert test.result == paired_test(np.array([20.0, -1]))


def test_cases_of_a_patient_are_averaged_first(study):
    ours = {("p1", "p1_f1"): 80, ("p1", "p1_f2"): 70, ("p2", "p2_f1"): 60, ("p2", "p2_f2"): 90}
    theirs = {("p1", "p1_f1"): 70, ("p1", "p1_f2"): 80, ("p2", "p2_f1"): 50, ("p2", "p2_f2"): 60}
    (test,) = case_tests(with_dice(study, {("m3hl", 1): ours, ("supervised", 1): theirs}))
    assert test.grouped
    assert test.differences.to_dict() == {"p1": 0, "p2": 20}
    assert test.by_case.tolist() == [10, -10, 10, 30]
    assert test.result.n == 2


def test_holm_counts_every_comparison_of_the_study(study):
    tests = case_tests(study)
    assert [test.comparison.method.dataset for test in tests] == ["hearts", "atria"]
    assert [test.holm_p for test in tests] == holm([test.result.p for test in tests])
    assert all(test.result.p == 0.25 for test in tests)  # three cases, all better
    assert all(test.holm_p == 0.5 for test in tests)


def test_rows_without_a_common_case_are_not_tested(study):
    dice = {("m3hl", 1): {("a", "a"): 80}, ("supervised", 1): {("b", "b"): 80}}
    assert case_tests(with_dice(study, dice)) == []
