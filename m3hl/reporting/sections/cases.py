"""Every test case, and tests of methods against each other over them."""

from typing import Any

from m3hl.reporting.case_table import MethodColumns, case_columns, case_frames, case_groups, worst_first
from m3hl.reporting.case_tests import ALPHA, corrected, tests_table, unit, verdict
from m3hl.reporting.casewise import CaseTest, case_tests
from m3hl.reporting.choice import choices
from m3hl.reporting.comparison import BASELINE, OURS, compared_methods, counterpart, ended_rows, of
from m3hl.reporting.exports import Table
from m3hl.reporting.figures.cases import Spread, boxes, differences
from m3hl.reporting.study import Row, Study
from m3hl.reporting.tests_matrix import matrix
from m3hl.reporting.text import dagger, given_labels, sentence_list

TITLE = "Case by case"
UNFOLDED = 20
"""A table of more cases is folded."""
MOST_PANELS = 4
"""So many comparisons of a data set are drawn, where the reader does not choose."""


def content(study: Study) -> dict[str, Any]:
    """Return tables and figures of every data set, and the tests of all."""
    tests = case_tests(study)
    return {
        "datasets": [dataset_content(study, name, tests) for name in study.datasets],
        "tests": tests_table(study, tests) if tests else None,
        "matrix": matrix(study, tests),
        "ours": study.methods[of(study, OURS)[0]].label if of(study, OURS) else "",
        "alpha": ALPHA,
        "grouped": any(test.grouped for test in tests),
        "test_selected": any(test.comparison.test_selected for test in tests),
        "corrected": corrected(tests),
    }


def dataset_content(study: Study, name: str, tests: list[CaseTest]) -> dict[str, Any]:
    """Return one data set's cases with the labeled count of its first comparison, or why there are none."""
    facts = study.datasets[name]
    mine = [test for test in tests if test.comparison.method.dataset == name]
    leading = mine[0].comparison.method if mine else next(iter(ended_rows(study, name)), None)
    if leading is None:
        return {"facts": facts, "missing": "no run has been evaluated yet"}
    rows = [row for row in study.rows(name) if row.labeled == leading.labeled]
    tested = [test.comparison.method.labeled for test in mine]
    elsewhere = dict.fromkeys(str(labeled) for labeled in tested if labeled != leading.labeled)
    mine = [test for test in mine if test.comparison.method.labeled == leading.labeled]
    mine.sort(key=lambda test: test.comparison.method.method != leading.method)
    # Where the reader chooses, all of the method that cases are sorted by are not too many.
    leading_tests = sum(test.comparison.method.method == leading.method for test in mine)
    drawn = mine[: max(MOST_PANELS, leading_tests if choices(study) else 0)]
    methods = case_columns(study, rows, mine)
    first = next(method for method in methods if method.row.method == leading.method)
    groups = case_groups(rows)
    cases = {case: groups[case] for case in worst_first(list(groups), first.columns[0].values)}
    group = facts.group if len(set(cases.values())) < len(cases) else ""
    title = f"{name}, {given_labels(leading.labeled, facts.group)}"
    return {
        "facts": facts,
        "missing": "",
        "labeled": leading.labeled,
        "first": first,
        "methods": methods,
        "cases": cases,
        "group": group,
        "folded": len(cases) > UNFOLDED,
        "boxes": boxes([spread(method) for method in methods], f"case-dice-{name}", title),
        "panels": [panel_content(study, test, corrected(tests), title) for test in drawn],
        "elsewhere": sentence_list(list(elsewhere)) if elsewhere else "",
        "undrawn": len(mine) - len(drawn),
        "untested": "" if mine else why_untested(study, rows),
        "gaps": [(study.methods[row.method].label, row) for row in rows if row.reason],
        "several_seeds": any(len(row.ended) > 1 for row in rows),
        "unpaired": [test for test in mine if unpaired(test)],
        "failed": any(column.failed for method in methods for column in method.columns),
        "test_selected": any(method.row.test_selected for method in methods),
        "table": case_export(name, title, cases, methods, group),
    }


def spread(method: MethodColumns) -> Spread:
    """Return a method's Dice as it is drawn."""
    dice = method.columns[0].values.dropna().to_numpy()
    label = method.label + dagger(method.row.test_selected)
    return Spread(label, method.index, dice)


def panel_content(study: Study, test: CaseTest, tests: int, title: str) -> dict[str, Any]:
    """Return the drawing of one of so many `tests`, and its caption."""
    compared = test.comparison
    pair = compared.method.method, compared.baseline.method
    order, (ours, theirs) = list(study.methods), (study.methods[name].label for name in pair)
    drawing = differences(
        test,
        (order.index(pair[0]), order.index(pair[1])),
        f"case-differences-{compared.method.dataset}-{'_'.join(pair)}",
        f"{ours} minus {theirs}, {title}",
    )
    return {
        "pair": f"{ours} − {theirs}",
        "methods": [order.index(name) for name in pair],
        "unit": unit(study, test),
        "verdict": verdict(study, test, tests),
        "drawing": drawing,
    }


def unpaired(test: CaseTest) -> bool:
    """Return whether a row has seeds that its partner lacks, which a difference leaves out."""
    rows = test.comparison.method, test.comparison.baseline
    return any(len(row.ended) > len(test.seeds) for row in rows)


def why_untested(study: Study, rows: list[Row]) -> str:
    """Return why nothing is tested against supervised training, as the end of a sentence."""
    other, here = counterpart(study), {row.method for row in rows}
    if here & set(compared_methods(study)) and here & set(of(study, BASELINE)):
        return f"no seed and case has been evaluated both with {other} and with supervised training"
    pair = f"{other} and supervised training with the same labeled count"
    return f"it takes {pair}, which this study does not have here"


def case_export(name: str, title: str, cases: dict[str, str], methods: list[MethodColumns], group: str) -> Table:
    """Return the table of cases as it is written to files."""
    heads = [method.label + dagger(method.row.test_selected) for method in methods]
    data, shown = case_frames(cases, methods, heads, group)
    caption = (
        f"Test cases of {title}: Dice in %, mean over structures and seeds; 95HD in voxels, in which a missed or "
        "spurious structure (*) counts as 0."
    )
    return Table(f"cases-{name}", caption, data, shown)
