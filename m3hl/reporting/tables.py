"""The results table of a study: rows for the page and for table1.csv."""

from dataclasses import dataclass

import pandas as pd

from m3hl.evaluation.summary import CONVENTIONS, GROUP, METRICS, Convention, seed_table
from m3hl.reporting.study import Row, Study


@dataclass(frozen=True)
class Line:
    """One line of a results table.

    Attributes:
        row: the runs behind it.
        class_name: the structure, "" for the mean over structures.
        scores: by convention, the columns of `seed_table`; {} while no run has ended.
    """

    row: Row
    class_name: str
    scores: dict[Convention, dict[str, float]]


def lines(study: Study, dataset: str) -> list[Line]:
    """Return one line per method and labeled count of a data set."""
    found = {c: scores_by(study, c, GROUP) for c in CONVENTIONS}
    return [
        Line(row, "", {c: s for c in CONVENTIONS if (s := found[c].get((dataset, row.method, row.labeled)))})
        for row in study.rows(dataset)
    ]


def class_lines(study: Study, dataset: str) -> list[Line]:
    """Return one line per method, labeled count and structure, where runs have ended."""
    found = {c: scores_by(study, c, [*GROUP, "class"]) for c in CONVENTIONS}
    return [
        Line(row, name, {c: found[c][key] for c in CONVENTIONS})
        for row in study.rows(dataset)
        for name in study.datasets[dataset].classes
        if (key := (dataset, row.method, row.labeled, name)) in found["published"]
    ]


def scores_by(study: Study, convention: Convention, by: list[str]) -> dict[tuple, dict[str, float]]:
    """Return the rows of `seed_table` by their values of `by`."""
    if study.metrics.empty:
        return {}
    table = seed_table(study.metrics, convention, by)
    return {tuple(record[key] for key in by): record for record in table.to_dict("records")}


def table1_csv(study: Study) -> str:
    """Return table1.csv: one line per data set, method, labeled count and convention.

    Columns: the group, `convention`, `runs` of `planned`, `test_selected`, `network` (which was evaluated),
    `missing` (why runs lack), mean and standard deviation over seeds of every metric (overlaps in percent,
    distances in voxels and mm), and the structures missed, spurious and counted over all runs. Empty where there
    is no number.
    """
    records = [
        {
            "dataset": line.row.dataset,
            "method": line.row.method,
            "labeled": line.row.labeled,
            "convention": convention,
            "runs": len(line.row.ended),
            "planned": len(line.row.runs),
            "test_selected": line.row.test_selected,
            "network": line.row.network or "student",
            "missing": line.row.reason,
            **{f"{m}_{part}": scores.get(f"{m}_{part}") for m in METRICS for part in ("mean", "std")},
            **{name: scores.get(name) for name in ("missed", "spurious", "structures")},
        }
        for dataset in study.datasets
        for line in lines(study, dataset)
        for convention in CONVENTIONS
        for scores in [line.scores.get(convention, {})]
    ]
    frame = pd.DataFrame(records).astype(dict.fromkeys(("missed", "spurious", "structures"), "Int64"))
    return frame.to_csv(index=False, lineterminator="\n")
