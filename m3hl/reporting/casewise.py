"""Methods against each other over test cases: paired differences and tests of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import pandas as pd
from scipy import stats

from m3hl.evaluation.summary import METRICS, RUN, Convention, case_means
from m3hl.reporting.comparison import Comparison, compare_all
from m3hl.reporting.intervals import t_interval
from m3hl.reporting.study import Row, Study


@dataclass(frozen=True)
class PairedTest:
    """What paired differences say about their mean.

    Attributes:
        n: number of differences.
        mean: their mean, in their unit.
        low, high: two-sided t interval of the mean at `CONFIDENCE`; NaN for a single difference.
        p: two-sided Wilcoxon signed rank test; differences of zero are dropped, 1 where all are zero.
        above, below: how many are above and below zero.
    """

    n: int
    mean: float
    low: float
    high: float
    p: float
    above: int
    below: int

    @property
    def least_p(self) -> float:
        """The smallest p that so many differences other than zero can reach, when all have one sign."""
        return min(1.0, 2.0 ** (1 - self.above - self.below))


@dataclass(frozen=True)
class CaseTest:
    """One comparison over test cases.

    Attributes:
        comparison: the two rows.
        seeds: those that both have; each case's Dice is the mean over them.
        by_case: method − baseline in Dice, percentage points, by group and case, where both have the case.
        differences: the same by unit of the test: a case, or a group (such as a patient) with the mean over its
            cases where groups have several.
        grouped: whether the units are groups.
        result: the test of the differences.
        holm_p: its p, corrected over the study's tests whose weights no test case chose; NaN for the others.
    """

    comparison: Comparison
    seeds: tuple[int, ...]
    by_case: pd.Series
    differences: pd.Series
    grouped: bool
    result: PairedTest
    holm_p: float


def case_tests(study: Study) -> list[CaseTest]:
    """Return a test of every comparison of the study whose rows share seeds and cases."""
    found = [test for comparison in compare_all(study) if (test := case_test(comparison))]
    # A p of weights that the test split chose is no p: it neither corrects the others nor is corrected.
    corrected = iter(holm([test.result.p for test in found if not test.comparison.test_selected]))
    return [test if test.comparison.test_selected else replace(test, holm_p=next(corrected)) for test in found]


def case_test(comparison: Comparison) -> CaseTest | None:
    """Return the test of one comparison, not yet corrected; None where the rows share no case."""
    rows = (comparison.method, comparison.baseline)
    first, second = ([result.run.seed for result in row.ended] for row in rows)
    seeds = tuple(seed for seed in first if seed in second)
    ours, theirs = (case_dice(row, seeds) for row in rows)
    by_case = (ours - theirs).dropna()
    if by_case.empty:
        return None
    grouped = bool(by_case.index.get_level_values("group").duplicated().any())
    differences = by_case.groupby("group" if grouped else "case", sort=False).mean()
    result = paired_test(differences.to_numpy())
    return CaseTest(comparison, seeds, by_case, differences, grouped, result, nan)


def case_dice(row: Row, seeds: Sequence[int]) -> pd.Series:
    """Return the Dice of each case (percent), mean over seeds, by group and case, in the order of the cases."""
    found = pd.concat([result.case_dice for result in row.ended if result.run.seed in seeds])
    return found.groupby(level=["group", "case"], sort=False).mean()


def case_scores(row: Row, convention: Convention, *, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return the metrics of each case, mean over seeds of the means over structures.

    Args:
        row: a row with runs that have ended.
        convention: see `m3hl.evaluation.summary.CONVENTIONS`.
        by: "class" for each structure on its own.

    Returns:
        `METRICS`, and the mean number of structures `missed` and `spurious`; indexed by `by`, group and case, in
        the order of the cases.
    """
    rows = pd.concat([result.metrics.assign(**result.run._asdict()) for result in row.ended])
    means = case_means(rows, convention, [*RUN, *by, "group"])
    return means.groupby([*by, "group", "case"], sort=False)[[*METRICS, "missed", "spurious"]].mean()


def paired_test(differences: np.ndarray) -> PairedTest:
    """Test paired differences (N,), N ≥ 1; those below a billionth count as zero, or as tied."""
    differences = np.round(differences, 9)
    n, mean = len(differences), float(differences.mean())
    low, high = t_interval(differences)
    changed = differences[differences != 0]
    return PairedTest(
        n=n,
        mean=mean,
        low=low,
        high=high,
        p=float(stats.wilcoxon(changed).pvalue) if len(changed) else 1.0,
        above=int((differences > 0).sum()),
        below=int((differences < 0).sum()),
    )


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down method, in their order."""
    order = np.argsort(values, kind="stable")
    stepped = np.asarray(values, float)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected.tolist()
