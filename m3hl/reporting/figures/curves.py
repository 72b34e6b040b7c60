"""Learning curves: loss and parts, a method's diagnostics, Dice of validation and of pseudo-labels."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from m3hl.reporting.figures.line_ends import ends, label_ends
from m3hl.reporting.figures.svg import INK, MUTED, Drawing, belongs, inline, panel, series

NOT_PARTS = {"iteration", "stage", "learning_rate", "loss"}
DICE = re.compile("(?:val|pseudo)_(.+)_dice")
"""Column of a network's Dice."""
PLACES = {"student": 0, "teacher": 1}
"""Line style of these networks, whichever a method has; its others take those that are left."""
STYLES = ("-", "--", ":", "-.")
PANEL_POINTS, FEWEST, MOST = 6000, 50, 200
"""Points of all lines of a panel, and of one line: a page may show hundreds of runs."""

WIDTH = 4.6

Curves = list[tuple[int, pd.DataFrame]]
"""Learning curves with the number of their method, which decides the colour."""


def loss_panel(curves: Curves, name: str, title: str, labels: dict[int, str] | None = None) -> Drawing:
    """Return the total loss of every run; `labels` are the methods', which stand at the ends of their lines."""
    with panel(WIDTH) as (figure, axes):
        for index, history in curves:
            lines = axes.plot(*points(history, "loss", len(curves)), color=series(index), linewidth=1.1)
            belongs(index, *lines)
        axes.set_ylim(bottom=0)
        draw_borders(axes, curves)
        finish(axes, max(history["iteration"].max() for _, history in curves))
        label_ends(axes, ends(((index, history, "loss") for index, history in curves), labels))
        return inline(figure, name, f"Training loss by iteration, {title}.")


def dice_panel(
    curves: Curves, name: str, title: str, kind: str, called: str, labels: dict[int, str] | None = None
) -> Drawing | None:
    """Return the Dice of every network; None without any.

    Args:
        curves: of all runs.
        name: unique on the page.
        title: data set and labeled count.
        kind: "val", of the split that is watched in training, or "pseudo", of unlabeled training images.
        called: what a reader is told that this is, such as "Validation".
        labels: of the methods, which stand at the ends of their lines.
    """
    lines = [
        (index, STYLES[place % len(STYLES)], history, column)
        for index, history in curves
        for network, place in network_places(history).items()
        if (column := f"{kind}_{network}_dice") in history and history[column].notna().any()
    ]
    if not lines:
        return None
    with panel(WIDTH) as (figure, axes):
        for index, style, history, column in lines:
            drawn = axes.plot(*points(history, column, len(lines)), style, color=series(index), linewidth=1.2)
            belongs(index, *drawn)
        axes.set_ylim(top=100)
        draw_borders(axes, [(index, history) for index, _, history, _ in lines])
        finish(axes, max(history.loc[history[column].notna(), "iteration"].max() for *_, history, column in lines))
        label_ends(axes, ends(((index, history, column) for index, _, history, column in lines), labels))
        return inline(figure, name, f"{called} Dice by iteration, {title}.")


def network_places(history: pd.DataFrame) -> dict[str, int]:
    """Return the networks whose Dice a learning curve has, and the number of each one's line style."""
    names = dict.fromkeys(match[1] for column in history if (match := DICE.fullmatch(column)))
    known = {name: PLACES[name] for name in names if name in PLACES}
    left = (place for place in range(len(PLACES) + len(names)) if place not in known.values())
    return {name: known[name] if name in known else next(left) for name in names}


def parts_panel(
    histories: Iterable[pd.DataFrame], name: str, title: str, others: Iterable[str] = ()
) -> tuple[Drawing, list[str]] | None:
    """Return the parts of one method's loss, on a logarithmic axis, and their names; None without parts.

    Args:
        histories: the method's learning curves.
        name: unique on the page.
        title: data set and labeled count.
        others: columns that are no parts.
    """
    histories = list(histories)
    columns = dict.fromkeys(column for history in histories for column in history)
    parts = [c for c in columns if c not in NOT_PARTS and c not in set(others) and not DICE.fullmatch(c)]
    if not parts:
        return None
    positive = [history.where(history > 0) for history in histories]
    with panel(WIDTH) as (figure, axes):
        draw_columns(axes, positive, parts)
        axes.set_yscale("log")
        return inline(figure, name, f"Parts of the loss by iteration, {title}."), parts


def diagnostics_panel(
    histories: Iterable[pd.DataFrame], name: str, title: str, labels: dict[str, str]
) -> tuple[Drawing, list[str]] | None:
    """Return what one method logs beside its loss, from 0 on, and what it is; None where it logs nothing.

    Args:
        histories: the method's learning curves.
        name: unique on the page.
        title: data set and labeled count.
        labels: columns that are drawn, and what a reader is told that they are.
    """
    histories = list(histories)
    logged = [column for column in labels if any(column in history for history in histories)]
    if not logged:
        return None
    with panel(WIDTH) as (figure, axes):
        draw_columns(axes, histories, logged)
        axes.set_ylim(bottom=0)
        shown = [labels[column] for column in logged]
        return inline(figure, name, f"{'; '.join(shown)}: by iteration, {title}."), shown


def draw_columns(axes: Axes, histories: list[pd.DataFrame], columns: Sequence[str]) -> None:
    """Draw columns of one method's learning curves, each in a style of its own."""
    for history in histories:
        for number, column in enumerate(columns):
            if column not in history:
                continue
            axes.plot(
                *points(history, column, len(columns) * len(histories)),
                STYLES[number % len(STYLES)],
                color=(INK, MUTED)[number // len(STYLES) % 2],
                linewidth=1.0,
            )
    draw_borders(axes, [(None, history) for history in histories])
    finish(axes, max(history["iteration"].max() for history in histories))


def stage_borders(history: pd.DataFrame) -> list[int]:
    """Return the iterations at which the stages of a run ended, but for the last one's."""
    if "stage" not in history:
        return []
    return history.groupby("stage")["iteration"].max().tolist()[:-1]


def draw_borders(axes: Axes, curves: Iterable[tuple[int | None, pd.DataFrame]]) -> None:
    """Draw a dotted upright line where a next stage begins, in a method's colour; runs that agree have one."""
    for index, iteration in dict.fromkeys(
        (index, end) for index, history in curves for end in stage_borders(history)
    ):
        color = MUTED if index is None else series(index)
        border = axes.axvline(iteration, color=color, linewidth=0.9, linestyle=(0, (1, 1.5)))
        if index is not None:
            belongs(index, border)


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
