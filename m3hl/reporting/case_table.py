"""A table of every test case: each method's numbers in columns of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from m3hl.evaluation.summary import CONVENTIONS
from m3hl.reporting.casewise import CaseTest, case_scores
from m3hl.reporting.comparison import BASELINE
from m3hl.reporting.study import Row, Study
from m3hl.reporting.text import MINUS, NONE, dagger, number, signed

FAILED = "*"
"""Marks a distance of a case with a structure that is missed or spurious with any seed."""


@dataclass(frozen=True)
class Column:
    """One number per case.

    Attributes:
        name: in CSV files.
        head, unit: above it.
        values: by case.
        form: writes a value.
        failures: the same in the convention "failures"; None where that changes nothing.
        failed: cases whose value depends on the convention.
    """

    name: str
    head: str
    unit: str
    values: pd.Series
    form: Callable[[float], str] = number
    failures: pd.Series | None = None
    failed: frozenset[str] = frozenset()

    def text(self, case: str, convention: str = "published") -> str:
        """Return what is shown of a case; a dash where there is nothing."""
        values = self.values if convention == "published" or self.failures is None else self.failures
        return self.form(values[case]) + FAILED * (case in self.failed) if case in values.index else NONE


@dataclass(frozen=True)
class MethodColumns:
    """The columns of one method, the first of which is its Dice, and its number in the study."""

    row: Row
    index: int
    label: str
    columns: tuple[Column, ...]


def case_columns(study: Study, rows: list[Row], tests: list[CaseTest]) -> list[MethodColumns]:
    """Return the columns of every row that has runs; `tests` give those with differences."""
    order = list(study.methods)
    return [
        MethodColumns(
            row, order.index(row.method), study.methods[row.method].label, method_columns(study, row, tests)
        )
        for row in rows
        if row.ended
    ]


def method_columns(study: Study, row: Row, tests: list[CaseTest]) -> tuple[Column, ...]:
    """Return Dice, differences from baselines, 95HD, and the Dice of each structure where there are several."""
    published, failures = (case_scores(row, convention).droplevel("group") for convention in CONVENTIONS)
    found = [Column(f"{row.method}_dice", "Dice", "%", published["dice"])]
    for test in tests:
        baseline = test.comparison.baseline
        # Of the others, a test's difference stands in the matrix: a table of all would be too wide.
        if test.comparison.method.method == row.method and study.methods[baseline.method].algorithm == BASELINE:
            mark = dagger(baseline.test_selected)
            name = f"{row.method}_minus_{baseline.method}"
            head = f"{MINUS} {study.methods[baseline.method].label}{mark}"
            found.append(Column(name, head, "points", test.by_case.droplevel("group"), signed))
    failed = frozenset(published.index[published["missed"] + published["spurious"] > 0])
    hd95 = published["hd95"], number, failures["hd95"], failed
    found.append(Column(f"{row.method}_hd95", "95HD", "voxels", *hd95))
    if len(study.datasets[row.dataset].classes) > 1:
        by_class = case_scores(row, "published", by=["class"])["dice"].droplevel("group")
        for name, values in by_class.groupby("class", sort=False):
            found.append(Column(f"{row.method}_dice_{name}", name, "%", values.droplevel("class")))
    return tuple(found)


def case_groups(rows: list[Row]) -> dict[str, str]:
    """Return the group of every case that any row has, in the order of the cases."""
    metrics = [result.metrics for row in rows for result in row.ended]
    return {case: group for m in metrics for case, group in zip(m["case"], m["group"], strict=True)}


def worst_first(cases: list[str], dice: pd.Series) -> list[str]:
    """Return cases by their Dice, those without one last."""
    return list(dice.reindex(cases).sort_values(kind="stable", na_position="last").index)


def case_frames(
    cases: dict[str, str], methods: list[MethodColumns], heads: list[str], group: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table as numbers and as shown.

    Args:
        cases: with their groups, in the order of the rows.
        methods: in the order of the columns.
        heads: what stands above each method.
        group: what a group is called, "" where each case is its own.
    """
    data, shown = {"case": list(cases)}, [("Case", list(cases))]
    if group:
        data["group"] = list(cases.values())
        shown.append((group.capitalize(), data["group"]))
    for method, above in zip(methods, heads, strict=True):
        data[f"{method.row.method}_test_selected"] = method.row.test_selected
        for column in method.columns:
            data[column.name] = column.values.reindex(cases).to_numpy()
            if column.failures is not None:
                data[f"{column.name}_failures"] = column.failures.reindex(cases).to_numpy()
            shown.append((f"{above} {column.head}", [column.text(case) for case in cases]))
    # A structure may be called like a metric: names of columns can repeat.
    frame = pd.DataFrame(dict(enumerate(values for _, values in shown)))
    return pd.DataFrame(data), frame.set_axis([name for name, _ in shown], axis=1)
