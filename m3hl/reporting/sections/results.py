"""The results: a table for each data set, beside the published numbers where they compare."""

from math import isnan
from typing import Any

import pandas as pd

from m3hl.evaluation.summary import RUN, run_means
from m3hl.reporting import published
from m3hl.reporting.against_paper import beside_paper, comparable
from m3hl.reporting.figures.dots import Dots, dots_drawing, percent_axis
from m3hl.reporting.figures.scatter import Point, scatter
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.result_tables import against_paper_table, results_table
from m3hl.reporting.side_by_side import Pair, agreement, side_by_side, side_by_side_table
from m3hl.reporting.study import Row, Study
from m3hl.reporting.tables import Line, class_lines, lines
from m3hl.reporting.text import dagger, number, spread

TITLE = "Results"
UNFOLDED = 4
"""Differences from the paper of more methods are folded."""


def content(study: Study) -> dict[str, Any]:
    """Return tables and notes of every data set."""
    return {
        "datasets": [dataset_content(study, name) for name in study.datasets],
        "methods": list(study.methods.values()),
    }


def dataset_content(study: Study, name: str) -> dict[str, Any]:
    """Return one data set's tables and the notes below them."""
    facts, rows = study.datasets[name], lines(study, name)
    classes = class_lines(study, name)
    compares = not facts.synthetic and facts.kind in published.LABELED
    labeled = published.LABELED[facts.kind] if compares else None
    shown = compares and any(line.row.labeled == labeled for line in rows)
    printed = published.table1(facts.kind) if shown else ()
    beside = beside_paper(study, name)
    pairs = side_by_side(study, name, rows)
    return {
        "facts": facts,
        "lines": rows,
        "dots": dots(study, name, printed),
        "classes": grouped(facts.classes, classes) if len(facts.classes) > 1 and classes else [],
        "has_mm": any(has_mm(line) for line in rows),
        "test_selected": any(line.row.test_selected for line in rows),
        "others": others(study, name),
        "gaps": [line for line in rows if line.row.reason],
        "published": printed,
        "published_labeled": labeled,
        "published_source": published.SOURCE,
        "published_notes": published.NOTES[facts.kind] if shown else (),
        "published_hidden": compares and not shown,
        "beside": beside,
        "folded": len(beside) > UNFOLDED,
        "pairs": pairs,
        "turned": [
            study.methods[pair.line.row.method].label
            for pair in pairs
            if pair.line and not study.methods[pair.line.row.method].as_published(name)
        ],
        "agreement": agreement(pairs),
        "plot": printed_plot(name, pairs),
        "exports": [
            results_table(study, f"table1-{name}", rows, printed),
            *([results_table(study, f"structures-{name}", classes, ())] if len(facts.classes) > 1 else []),
            *([side_by_side_table(name, pairs)] if pairs else []),
            *([against_paper_table(study, name, beside)] if beside else []),
        ],
    }


def printed_plot(name: str, pairs: list[Pair]) -> Drawing | None:
    """Return printed against reproduced Dice, one point per method; None for less than three."""
    points = [Point(pair.label, pair.index, *pair.dice) for pair in pairs if pair.rank and pair.printed_rank]
    if len(points) < 3:
        return None
    told = ", ".join(f"{point.label} {number(point.x)} and {number(point.y)}" for point in points)
    return scatter(
        points,
        ("Dice as printed, %", "Dice here, %"),
        f"printed-{name}",
        f"Printed and reproduced Dice on {name}, by method: {told}.",
        diagonal=True,
    )


def others(study: Study, name: str) -> list[tuple[Row, str, str]]:
    """Return row, network and Dice of what methods select besides their result."""
    found = []
    for row in study.rows(name):
        records = [result.evaluation.others for result in row.ended if result.evaluation is not None]
        for network in dict.fromkeys(network for record in records for network in record):
            dice = pd.Series([record[network].dice for record in records if network in record], dtype=float)
            found.append((row, network.replace("_", " "), spread(dice.mean(), dice.std(), 1)))
    return found


def has_mm(line: Line) -> bool:
    """Return whether a line has distances in mm."""
    return any(scores["hd95_mm_mean"] == scores["hd95_mm_mean"] for scores in line.scores.values())


def grouped(classes: tuple[str, ...], found: list[Line]) -> list[tuple[str, list[Line]]]:
    """Return the lines of each structure that has any, in the order of the labels."""
    groups = ((name, [line for line in found if line.class_name == name]) for name in classes)
    return [(name, group) for name, group in groups if group]


def dots(study: Study, name: str, printed: tuple[published.Published, ...]) -> dict[str, Any] | None:
    """Return the Dice of every run as places on one axis, beside its method's printed one; None without runs."""
    if study.metrics.empty:
        return None
    means = run_means(study.metrics, "published").set_index(RUN)["dice"]
    rows = []
    for row in study.rows(name):
        keys = [tuple(result.run) for result in row.ended]
        found = [means[key] for key in keys if key in means]
        method, index = study.methods[row.method], list(study.methods).index(row.method)
        beside = [p.dice for p in printed if p.ours == method.algorithm and not isnan(p.dice)]
        marks = beside if comparable(study, row) else []
        label = f"{method.label} {row.labeled}{dagger(row.test_selected)}"
        rows.append((row, Dots(label, index, found, marks)))
    if not any(line.values for _, line in rows):
        return None
    axis = percent_axis(value for _, line in rows for value in line.values + line.printed)
    return {
        # The page draws the same from its template, in which text never shrinks.
        "file": dots_drawing([line for _, line in rows], axis, f"dice-of-runs-{name}", name),
        "ticks": [(axis.place(tick), number(tick, 0)) for tick in axis.ticks],
        "rows": [
            {
                "row": row,
                "index": line.index,
                "label": study.methods[row.method].label,
                "values": [number(value, 1) for value in line.values],
                "places": [axis.place(value) for value in line.values],
                "printed": [axis.place(value) for value in line.printed],
            }
            for row, line in rows
        ],
        "has_printed": any(line.printed for _, line in rows),
    }
