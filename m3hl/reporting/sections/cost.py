"""What the runs cost: time, memory and energy, per method and labeled count and in all."""

from collections.abc import Callable
from math import nan
from statistics import fmean
from typing import Any

import pandas as pd

from m3hl.reporting.comparison import run_dice
from m3hl.reporting.exports import Table
from m3hl.reporting.figures.scatter import Point, scatter
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.records import Provenance
from m3hl.reporting.study import Row, RunResult, Study
from m3hl.reporting.text import NONE, count, duration, given_labels, number

TITLE = "What it cost"


def energy(kilojoules: float) -> str:
    """Return an energy in kJ, with digits where it is small."""
    return number(kilojoules, 0 if kilojoules >= 10 else 2)


MEASURES: dict[str, tuple[str, str, Callable[[float], str]]] = {
    "training_seconds": ("Training", "", duration),
    "step_seconds": ("Step", "ms", lambda seconds: number(1000 * seconds, 0)),
    "peak_memory_mib": ("Memory", "GiB", lambda mib: number(mib / 1024, 1)),
    "peak_gpu_memory_mib": ("GPU memory", "GiB", lambda mib: number(mib / 1024, 1)),
    "gpu_energy_kj": ("GPU energy", "kJ", energy),
    "evaluation_seconds": ("Evaluation", "", duration),
}
"""What is told of each row: heading, unit, and how a reader wants it."""
DRAWN = {
    "training_seconds": ("time of training", "minutes", 60),
    "peak_memory_mib": ("memory of training", "GiB", 1024),
    "peak_gpu_memory_mib": ("GPU memory of training", "GiB", 1024),
    "gpu_energy_kj": ("GPU energy of training", "kJ", 1),
}
"""What Dice is drawn against: what it is called, its unit, and how many of a record's units that is."""
FEWEST = 3
"""Points of such a drawing, at least."""
SUMMED = ("training_seconds", "evaluation_seconds", "gpu_energy_kj")
PARTS = ("mean", "min", "max")


def content(study: Study) -> dict[str, Any]:
    """Return a line per row with mean and range over seeds, and the sums over all runs."""
    rows = [row for dataset in study.datasets for row in study.rows(dataset)]
    costs = pd.DataFrame([run_cost(result) for result in study.results], columns=list(MEASURES), dtype=float)
    told = [name for name in MEASURES if costs[name].notna().any()]
    lines = [line(study, row, told) for row in rows]
    return {
        "headings": [MEASURES[name][:2] for name in told],
        "lines": lines,
        "table": table(lines, told),
        "tradeoffs": [tradeoff for name in study.datasets if (tradeoff := tradeoffs(study, name, lines))],
        "totals": {name: MEASURES[name][2](costs[name].sum()) for name in SUMMED if name in told},
        "trained": int(costs["training_seconds"].notna().sum()),
        "metered": int(costs["gpu_energy_kj"].notna().sum()),
        "planned": len(study.results),
    }


def tradeoffs(study: Study, dataset: str, lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return Dice against each cost on a data set, with the labeled count that most methods have; None for few."""
    dice: dict[tuple, list[float]] = {}
    for (name, method, labeled, _), value in run_dice(study).items():
        dice.setdefault((name, method, labeled), []).append(value)
    groups: dict[int | str, list[dict[str, Any]]] = {}
    for one in lines:
        row = one["row"]
        if row.dataset == dataset and (dataset, row.method, row.labeled) in dice:
            groups.setdefault(row.labeled, []).append(one)
    labeled, group = max(groups.items(), key=lambda item: len(item[1]), default=("", []))
    title = f"{dataset}, {given_labels(labeled, study.datasets[dataset].group)}" if group else ""
    order, drawings = list(study.methods), []
    for measure, (called, unit, scale) in DRAWN.items():
        points = [
            Point(one["method"], order.index(row.method), cost / scale, fmean(dice[dataset, row.method, labeled]))
            for one in group
            for row, cost in [(one["row"], one["numbers"].get(measure, {}).get("mean", nan))]
            if cost == cost
        ]
        if len(points) >= FEWEST:
            drawings.append((called, tradeoff(points, called, unit, f"dice-by-{measure}-{dataset}", title)))
    if not drawings:
        return None
    return {"title": title, "drawings": drawings, "devices": len({one["device"] for one in group})}


def tradeoff(points: list[Point], called: str, unit: str, name: str, title: str) -> Drawing:
    """Return Dice against one cost."""
    told = ", ".join(f"{point.label} {number(point.x, 1)} {unit} and {number(point.y, 1)} %" for point in points)
    heads = f"{called}, {unit}", "Dice, %"
    return scatter(points, heads, name, f"Dice by {called}, {title}: {told}.", from_zero=True)


def run_cost(result: RunResult) -> dict[str, float | None]:
    """Return one run's measures, None where they are not told."""
    record, evaluation = result.record, result.evaluation
    costs = dict.fromkeys(MEASURES)
    if evaluation:
        costs["evaluation_seconds"] = evaluation.provenance.seconds
    if record is None:
        return costs
    costs["training_seconds"], iterations = record.seconds, record.iterations or record.settings.iterations
    if record.seconds is not None and iterations:
        costs["step_seconds"] = record.seconds / iterations
    costs["peak_memory_mib"] = record.provenance.peak_memory_mib
    costs["peak_gpu_memory_mib"] = record.provenance.peak_gpu_memory_mib
    # The meter does not know of the attempts before the last one.
    costs["gpu_energy_kj"] = None if record.resumed_at else record.provenance.gpu_energy_kj
    return costs


def line(study: Study, row: Row, told: list[str]) -> dict[str, Any]:
    """Return what the table says of one row."""
    costs = pd.DataFrame([run_cost(result) for result in row.runs], columns=list(MEASURES), dtype=float)
    numbers = {name: {part: getattr(costs[name], part)() for part in PARTS} for name in told}
    records = [result.record for result in row.runs if result.record]
    return {
        "row": row,
        "method": study.methods[row.method].label,
        "runs": len(records),
        "numbers": numbers,
        "cells": [spread(numbers[name], MEASURES[name][2]) for name in told],
        "device": "; ".join(dict.fromkeys(device(record.provenance) for record in records)) or NONE,
    }


def spread(numbers: dict[str, float], shown: Callable[[float], str]) -> tuple[str, str]:
    """Return a mean as it is shown, and its range, "" where that is no more than the mean."""
    if numbers["mean"] != numbers["mean"]:
        return NONE, ""
    low, high = shown(numbers["min"]), shown(numbers["max"])
    return shown(numbers["mean"]), "" if low == high else f"{low}–{high}"


def device(record: Provenance) -> str:
    """Return what computed a run, and what of its arithmetic is out of the ordinary."""
    if record.device_name:
        parts = [record.device_name]
    else:
        parts = [
            record.cpu or record.device or NONE,
            *([count(record.threads, "thread")] if record.threads else []),
        ]
    unusual = [v for v in (record.precision, record.compilation) if v not in (None, "float32", "off")]
    return ", ".join([*parts, *unusual])


def table(lines: list[dict[str, Any]], told: list[str]) -> Table:
    """Return the lines as a table: in full for CSV, as shown for the other formats."""
    headings = {name: f"{heading} ({unit})" if unit else heading for name, (heading, unit, _) in MEASURES.items()}
    full, shown = [], []
    for one in lines:
        row, runs = one["row"], one["runs"]
        numbers = {f"{name}_{part}": value for name in told for part, value in one["numbers"][name].items()}
        full.append(
            {"dataset": row.dataset, "method": row.method, "labeled": row.labeled, "runs": runs}
            | {"planned": len(row.runs), **numbers, "device": one["device"]}
        )
        cells = {
            headings[name]: f"{mean} ({extent})" if extent else mean
            for name, (mean, extent) in zip(told, one["cells"], strict=True)
        }
        shown.append(
            {"Data set": row.dataset, "Method": one["method"], "Labeled": row.labeled}
            | {"Runs": f"{runs} of {len(row.runs)}", **cells, "Computed by": one["device"]}
        )
    caption = (
        "Time, memory and energy of each method and labeled count: mean over seeds, and range where they differ."
    )
    return Table("cost", caption, pd.DataFrame(full), pd.DataFrame(shown))
