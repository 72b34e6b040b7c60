"""The tables of the results section as files: what the page shows in the literature's convention."""

from collections.abc import Sequence
from math import nan

import pandas as pd

from m3hl.evaluation.summary import CONVENTIONS
from m3hl.reporting.against_paper import METRICS, Beside, Difference
from m3hl.reporting.exports import Table
from m3hl.reporting.published import SOURCE, Published
from m3hl.reporting.study import Study
from m3hl.reporting.tables import Line
from m3hl.reporting.text import NONE, dagger, interval, number, signed, spread

HEADS = {"dice": "Dice (%)", "jaccard": "Jaccard (%)", "hd95": "95HD (voxels)", "asd": "ASD (voxels)"}


def results_table(study: Study, name: str, found: list[Line], printed: Sequence[Published]) -> Table:
    """Return the lines of a data set, with the printed ones below them.

    The CSV has a line per convention; Markdown and LaTeX show "published", mean ± standard deviation over seeds.
    """
    data, shown = [], []
    for line in found:
        head = {"method": study.methods[line.row.method].label, "labeled": line.row.labeled}
        head = ({"structure": line.class_name} if line.class_name else {}) | head
        network = f" ({line.row.network})" if line.row.network else ""
        for convention in CONVENTIONS:
            scores = line.scores.get(convention, {})
            numbers = {f"{m}_{part}": scores.get(f"{m}_{part}") for m in METRICS for part in ("mean", "std")}
            counts = {key: scores.get(key) for key in ("missed", "spurious", "structures")}
            runs = {"runs": len(line.row.ended), "planned": len(line.row.runs)}
            marks = {"test_selected": line.row.test_selected, "network": line.row.network or "student"}
            data.append(head | {"convention": convention} | numbers | counts | runs | marks)
        scores = line.scores.get("published", {})
        mark = dagger(line.row.test_selected)
        named = head | {"method": head["method"] + network}
        shown.append(
            {key.capitalize(): str(value) for key, value in named.items()}
            | {HEADS[m]: spread(scores.get(f"{m}_mean"), scores.get(f"{m}_std")) + mark for m in METRICS}
            | {key.capitalize(): str(scores.get(key, NONE)) for key in ("missed", "spurious")}
            | {"Runs": f"{len(line.row.ended)} of {len(line.row.runs)}"}
        )
    for row in printed:
        numbers = {HEADS[m]: number(getattr(row, m)) for m in METRICS}
        shown.append({"Method": f"{row.method} (as printed)"} | numbers)
    counts = dict.fromkeys(("missed", "spurious", "structures"), "Int64")
    note = f"; as printed: {SOURCE}" if printed else ""
    caption = f"Results of {study.name}, {name}: mean ± standard deviation over seeds{note}."
    frame = pd.DataFrame(data)
    frame = frame.astype(counts) if data else frame
    return Table(name, caption, frame, pd.DataFrame(shown).fillna(NONE))


def against_paper_table(study: Study, dataset: str, rows: list[Beside]) -> Table:
    """Return the difference from the printed numbers, a line per method, metric and (in the CSV) convention."""
    records = [
        {
            "method": study.methods[beside.row.method].label,
            "labeled": beside.row.labeled,
            "convention": convention,
            "metric": metric,
            "printed": found.printed,
            "mean": found.mean,
            "std": found.std,
            "runs": len(beside.row.ended),
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "test_selected": beside.row.test_selected,
        }
        for beside in rows
        for convention in CONVENTIONS
        for metric in METRICS
        for found in [beside.differences.get(convention, {}).get(metric) or missing(beside, metric)]
    ]
    shown = [
        {
            "Method": record["method"],
            "Metric": HEADS[record["metric"]],
            "Printed": number(record["printed"]),
            "Reproduced": spread(record["mean"], record["std"]) + mark,
            "Difference": signed(record["difference"]) + mark,
            "95 % interval": interval(record["low"], record["high"]) + mark,
        }
        for record in records
        if record["convention"] == "published"
        for mark in [dagger(record["test_selected"])]
    ]
    return Table(
        f"against-paper-{dataset}",
        f"Reproduced minus printed ({SOURCE}) on {dataset}; Student's t interval over seeds.",
        pd.DataFrame(records),
        pd.DataFrame(shown),
    )


def missing(beside: Beside, metric: str) -> Difference:
    """Return the difference of a row whose runs have not ended."""
    return Difference(nan, nan, getattr(beside.published, metric), nan, nan)
