"""Names of methods beside the ends of their curves, so that no legend has to be looked up."""

from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from m3hl.reporting.figures.labels import spread_out
from m3hl.reporting.figures.svg import INK, belongs, series

LABEL = 8
"""Points of a label's text."""
MOST_LABELS = 18
"""So many labels find room beside a panel."""


class End(NamedTuple):
    """Where the curves of a method end: its label, the last iteration, and the mean of the last values."""

    label: str
    iteration: float
    value: float


def ends(lines: Iterable[tuple[int, pd.DataFrame, str]], labels: dict[int, str] | None) -> dict[int, End]:
    """Return where each method's curves end, by its number; nothing for too many labels.

    Args:
        lines: number of the method, learning curve and the column that is drawn.
        labels: of the methods by number.
    """
    if not labels or len(labels) > MOST_LABELS:
        return {}
    last: dict[int, list[tuple[float, float]]] = {}
    for index, history, column in lines:
        drawn = history[np.isfinite(history[column])]
        if len(drawn):
            last.setdefault(index, []).append(tuple(drawn[["iteration", column]].iloc[-1]))
    return {
        index: End(labels[index], max(iteration for iteration, _ in found), fmean(value for _, value in found))
        for index, found in last.items()
    }


def label_ends(axes: Axes, labels: dict[int, End]) -> None:
    """Write methods' labels to the right, each with a line from where its curves end; none hides another.

    A pale line leads to the border of the panel where curves end before it. The page moves labels nearer when some
    are hidden: templates/labels.js.
    """
    low, high = axes.get_ylim()
    border = axes.get_xlim()[1]
    shares = [min(max((end.value - low) / (high - low), 0.0), 1.0) for end in labels.values()]
    tall = axes.figure.get_figheight() * 72 * 0.8
    places = spread_out(shares, LABEL * 1.25 / tall, 1.0)
    for (index, end), share, place in zip(labels.items(), shares, places, strict=True):
        where = {"transform": axes.transAxes, "clip_on": False}
        if end.iteration < border:
            level = low + share * (high - low)
            way = [end.iteration, border], [level, level]
            rest = axes.plot(*way, color=series(index), linewidth=0.6, alpha=0.35)
            belongs(index, *rest)
        leader = axes.plot([1.0, 1.04], [share, place], color=series(index), linewidth=0.7, **where)
        text = axes.text(1.05, place, end.label, fontsize=LABEL, color=INK, va="center", **where)
        belongs(index, *leader, kind="leader")
        belongs(index, text, kind="label")
