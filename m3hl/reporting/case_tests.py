"""The tests over cases as a reader sees them: in words, and in one table."""

import pandas as pd

from m3hl.reporting.casewise import CaseTest
from m3hl.reporting.exports import Table
from m3hl.reporting.study import Study
from m3hl.reporting.text import NONE, count, dagger, interval, signed

ALPHA = 0.05
"""Below it a test is commonly called significant; the page says where so few cases cannot get there."""


def tests_table(study: Study, tests: list[CaseTest]) -> Table:
    """Return one line per test; Holm's p is shown where there are several."""
    data = pd.DataFrame([record(study, test) for test in tests])
    shown = pd.DataFrame([shown_record(study, test, corrected(tests) > 1) for test in tests])
    caption = (
        "Methods against each other over test cases: mean difference in Dice in percentage points, 95 % t "
        "interval, two-sided Wilcoxon signed rank test."
    )
    return Table("case-tests", caption, data, shown)


def corrected(tests: list[CaseTest]) -> int:
    """Return for how many tests Holm's p is corrected: those whose weights no test case has chosen."""
    return sum(not test.comparison.test_selected for test in tests)


def record(study: Study, test: CaseTest) -> dict[str, object]:
    """Return a test's line for CSV."""
    method, baseline, result = test.comparison.method, test.comparison.baseline, test.result
    return {
        "dataset": method.dataset,
        "labeled": method.labeled,
        "method": method.method,
        "baseline": baseline.method,
        "seeds": len(test.seeds),
        "cases": len(test.by_case),
        "unit": unit(study, test),
        "n": result.n,
        "above": result.above,
        "below": result.below,
        "mean_difference": result.mean,
        "low": result.low,
        "high": result.high,
        "wilcoxon_p": result.p,
        "holm_p": test.holm_p,
        "test_selected": test.comparison.test_selected,
    }


def shown_record(study: Study, test: CaseTest, several: bool) -> dict[str, str]:
    """Return a test's line for readers."""
    method, baseline, result = test.comparison.method, test.comparison.baseline, test.result
    mark = dagger(test.comparison.test_selected)
    return {
        "Data set": method.dataset,
        "Labeled": str(method.labeled),
        "Method": study.methods[method.method].label,
        "Against": study.methods[baseline.method].label,
        "Seeds": str(len(test.seeds)),
        "Tested": count(result.n, unit(study, test)),
        "Above / below": f"{result.above} / {result.below}",
        "Difference": signed(result.mean) + mark,
        "95 % interval": interval(result.low, result.high) + mark,
        "p": p_text(result.p) + mark,
        **({"p, Holm": NONE if mark else p_text(test.holm_p)} if several else {}),
    }


def unit(study: Study, test: CaseTest) -> str:
    """Return what was tested: a group such as "patient", or "case"."""
    return study.datasets[test.comparison.method.dataset].group if test.grouped else "case"


def verdict(study: Study, test: CaseTest, tests: int) -> str:
    """Return a test, one of so many `tests`, in words that claim no more than it shows."""
    result, marked = test.result, test.comparison.test_selected
    mark, interval_text = dagger(marked), interval(result.low, result.high)
    cases = f" with {count(len(test.by_case), 'case')}" if test.grouped else ""
    seeds = f"mean over {len(test.seeds)} seeds" if len(test.seeds) > 1 else "one seed"
    holm = f", corrected for {tests} tests {p_text(test.holm_p, '= ')}" if tests > 1 and not marked else ""
    few = f" With so few, p cannot fall below {p_text(result.least_p)}." if result.least_p > ALPHA else ""
    return (
        f"{count(result.n, unit(study, test))}{cases}, {seeds}: {result.above} above and {result.below} below "
        f"zero; mean {signed(result.mean)}{mark} percentage points, 95 % interval {interval_text}{mark}; "
        f"Wilcoxon signed rank p {p_text(result.p, '= ')}{mark}{holm}.{few}"
    )


def p_text(p: float, equals: str = "") -> str:
    """Return a p value with the digits that matter, after `equals` where it is not a bound.

    >>> p_text(0.0312, "= "), p_text(0.00001, "= ")
    ('= 0.031', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{equals}{p:.3f}"
