"""The tests over cases as a matrix: a row per method, and for each data set two columns of differences."""

from dataclasses import dataclass

import pandas as pd

from m3hl.reporting.case_tests import ALPHA, p_text
from m3hl.reporting.casewise import CaseTest
from m3hl.reporting.comparison import BASELINE
from m3hl.reporting.exports import Table
from m3hl.reporting.study import Study
from m3hl.reporting.text import MINUS, NONE, dagger, given_labels, signed

FEW = 4
"""So many tests are read better as a list."""
SIGNS = {True: "▲", False: "▼"}


@dataclass(frozen=True)
class Cell:
    """One test, as the matrix shows it.

    Attributes:
        difference: with a sign before it where Holm's p is below `ALPHA`: ▲ above zero, ▼ below.
        p: Holm's, in words; "" where the test split chose weights.
        clear: whether Holm's p is below `ALPHA`.
        test_selected: whether the test split chose the weights of either row.
    """

    difference: str
    p: str
    clear: bool
    test_selected: bool

    @property
    def text(self) -> str:
        """The cell in a file."""
        p = f" (p {self.p})" if self.p else ""
        return f"{self.difference}{dagger(self.test_selected)}{p}"


@dataclass(frozen=True)
class Column:
    """What is subtracted from what, with which data: "− Supervised" or "M³HL −"."""

    group: str
    head: str


@dataclass(frozen=True)
class Matrix:
    """Tests by method and column.

    Attributes:
        groups: data sets with their labels, and how many columns each has.
        columns: in their order.
        rows: a method's label, and its cell in each column, None where there is no test.
        table: the same for files.
    """

    groups: list[tuple[str, int]]
    columns: list[Column]
    rows: list[tuple[str, list[Cell | None]]]
    table: Table


def matrix(study: Study, tests: list[CaseTest]) -> Matrix | None:
    """Return all tests as a matrix; None for few of them."""
    if len(tests) <= FEW:
        return None
    places = {place(study, test): cell(test) for test in tests}
    columns = list(dict.fromkeys(column for _, column in places))
    # Columns of one data set and labeled count stand together.
    order = list(dict.fromkeys(column.group for column in columns))
    columns.sort(key=lambda column: order.index(column.group))
    methods = [name for name in study.methods if any(method == name for method, _ in places)]
    rows = [(study.methods[name].label, [places.get((name, column)) for column in columns]) for name in methods]
    heads = [f"{column.group}: {column.head}" for column in columns]
    frame = pd.DataFrame(
        [{"Method": label} | dict(zip(heads, map(shown, cells), strict=True)) for label, cells in rows]
    )
    caption = (
        "Paired tests over test cases: mean difference in Dice, percentage points, and Wilcoxon's p by Holm over "
        f"all of them; {SIGNS[True]} or {SIGNS[False]} where it is below {ALPHA}."
    )
    groups = [(group, sum(column.group == group for column in columns)) for group in order]
    return Matrix(groups, columns, rows, Table("test-matrix", caption, frame))


def place(study: Study, test: CaseTest) -> tuple[str, Column]:
    """Return the method and the column that a test belongs to."""
    method, baseline = test.comparison.method, test.comparison.baseline
    facts = study.datasets[method.dataset]
    group = f"{method.dataset}, {given_labels(method.labeled, facts.group)}"
    if study.methods[baseline.method].algorithm == BASELINE:
        return method.method, Column(group, f"{MINUS} {study.methods[baseline.method].label}")
    return baseline.method, Column(group, f"{study.methods[method.method].label} {MINUS}")


def cell(test: CaseTest) -> Cell:
    """Return a test as it is shown."""
    marked, mean = test.comparison.test_selected, test.result.mean
    clear = not marked and test.holm_p < ALPHA
    sign = f"{SIGNS[mean > 0]} " if clear else ""
    return Cell(sign + signed(mean, 1), "" if marked else p_text(test.holm_p), clear, marked)


def shown(cell: Cell | None) -> str:
    """Return a cell's text, or a dash."""
    return cell.text if cell else NONE
