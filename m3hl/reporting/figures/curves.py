"""Learning curves: a panel for the loss, one for its parts, one for validation Dice, one for pseudo-labels."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from m3hl.reporting.figures.svg import INK, MUTED, Drawing, inline, panel, series

NOT_PARTS = {"iteration", "learning_rate", "loss"}
NETWORKS = {"student": "-", "teacher": "--"}
"""Line style of each network's Dice."""
PANEL_POINTS, FEWEST, MOST = 6000, 50, 200
"""Points of all lines of a panel, and of one line: a page may show hundreds of runs."""
PART_STYLES = ("-", "--", ":", "-.")

Curves = list[tuple[int, pd.DataFrame]]
"""Learning curves with the number of their method, which decides the colour."""


def loss_panel(curves: Curves, name: str, title: str) -> Drawing:
    """Return the total loss of every run."""
    with panel() as (figure, axes):
        for index, history in curves:
            axes.plot(*points(history, "loss", len(curves)), color=series(index), linewidth=1.1)
        axes.set_ylim(bottom=0)
        finish(axes, max(history["iteration"].max() for _, history in curves))
        return inline(figure, name, f"Training loss by iteration, {title}.")


def dice_panel(curves: Curves, name: str, title: str, kind: str, called: str) -> Drawing | None:
    """Return the Dice of student and teacher; None without any.

    Args:
        curves: of all runs.
        name: unique on the page.
        title: data set and labeled count.
        kind: "val", of the split that is watched in training, or "pseudo", of unlabeled training images.
        called: what a reader is told that this is, such as "Validation".
    """
    lines = [
        (series(index), style, history, column)
        for index, history in curves
        for network, style in NETWORKS.items()
        if (column := f"{kind}_{network}_dice") in history and history[column].notna().any()
    ]
    if not lines:
        return None
    with panel() as (figure, axes):
        for color, style, history, column in lines:
            axes.plot(*points(history, column, len(lines)), style, color=color, linewidth=1.2)
        axes.set_ylim(top=100)
        finish(axes, max(history.loc[history[column].notna(), "iteration"].max() for *_, history, column in lines))
        return inline(figure, name, f"{called} Dice by iteration, {title}.")


def parts_panel(histories: Iterable[pd.DataFrame], name: str, title: str) -> tuple[Drawing, list[str]] | None:
    """Return the parts of one method's loss, on a logarithmic axis, and their names; None without parts."""
    histories = list(histories)
    columns = dict.fromkeys(column for history in histories for column in history)
    parts = [c for c in columns if c not in NOT_PARTS and not c.endswith("_dice")]
    if not parts:
        return None
    with panel() as (figure, axes):
        for history in histories:
            for number, part in enumerate(parts):
                if part not in history:
                    continue
                color = (INK, MUTED)[number // len(PART_STYLES) % 2]
                style = PART_STYLES[number % len(PART_STYLES)]
                axes.plot(
                    *points(history[history[part] > 0], part, len(parts) * len(histories)),
                    style,
                    color=color,
                    linewidth=1.0,
                )
        axes.set_yscale("log")
        finish(axes, max(history["iteration"].max() for history in histories))
        return inline(figure, name, f"Parts of the loss by iteration, {title}."), parts


def points(history: pd.DataFrame, column: str, lines: int) -> np.ndarray:
    """Return iterations and values (2, N) of a column: all, or every so many, the last among them.

    Args:
        history: a learning curve.
        column: empty where it was not measured.
        lines: in the panel; the more there are, the fewer points each has.
    """
    whole = history[["iteration", column]].dropna().to_numpy().T
    most = min(max(PANEL_POINTS // lines, FEWEST), MOST)
    step = max(1, -(-whole.shape[1] // most))
    return whole[:, (whole.shape[1] - 1) % step :: step]


def finish(axes: Axes, last: float) -> None:
    """Label the time axis, which ends at iteration `last`, and keep the marks few."""
    axes.set_xlabel("iteration")
    axes.set_xlim(0, last)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 3, 5, 10]))
