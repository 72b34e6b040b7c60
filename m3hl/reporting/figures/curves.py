"""Learning curves: one panel for the loss, one for its parts, one for Dice during training."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from m3hl.reporting.figures.svg import INK, MUTED, Drawing, inline, panel, series

NOT_PARTS = {"iteration", "learning_rate", "loss"}
NETWORKS = {"val_student_dice": "-", "val_teacher_dice": "--"}
"""Line style of each network's validation Dice."""
PART_STYLES = ("-", "--", ":", "-.")

Curves = list[tuple[int, pd.DataFrame]]
"""Learning curves with the number of their method, which decides the colour."""


def loss_panel(curves: Curves, name: str, title: str) -> Drawing:
    """Return the total loss of every run."""
    with panel() as (figure, axes):
        for index, history in curves:
            axes.plot(history["iteration"], history["loss"], color=series(index), linewidth=1.1)
        axes.set_ylim(bottom=0)
        finish(axes, max(history["iteration"].max() for _, history in curves))
        return inline(figure, name, f"Training loss by iteration, {title}.")


def dice_panel(curves: Curves, name: str, title: str, split: str) -> Drawing | None:
    """Return the Dice of student and teacher on the split that is watched in training; None without any."""
    lines = [
        (series(index), style, history[["iteration", column]].dropna().to_numpy().T)
        for index, history in curves
        for column, style in NETWORKS.items()
        if column in history and history[column].notna().any()
    ]
    if not lines:
        return None
    with panel() as (figure, axes):
        for color, style, points in lines:
            axes.plot(*points, style, color=color, linewidth=1.2)
        axes.set_ylim(top=100)
        finish(axes, max(points[0].max() for _, _, points in lines))
        return inline(figure, name, f"{split} Dice by iteration, {title}.")


def parts_panel(histories: Iterable[pd.DataFrame], name: str, title: str) -> tuple[Drawing, list[str]] | None:
    """Return the parts of one method's loss, on a logarithmic axis, and their names; None without parts."""
    histories = list(histories)
    parts = [c for c in histories[0] if c not in NOT_PARTS and not c.startswith("val_")]
    if not parts:
        return None
    with panel() as (figure, axes):
        for history in histories:
            for number, part in enumerate(parts):
                positive = history[["iteration", part]].dropna()
                positive = positive[positive[part] > 0]
                color = (INK, MUTED)[number // len(PART_STYLES) % 2]
                style = PART_STYLES[number % len(PART_STYLES)]
                axes.plot(*positive.to_numpy().T, style, color=color, linewidth=1.0)
        axes.set_yscale("log")
        finish(axes, max(history["iteration"].max() for history in histories))
        return inline(figure, name, f"Parts of the loss by iteration, {title}."), parts


def finish(axes: Axes, last: float) -> None:
    """Label the time axis, which ends at iteration `last`, and keep the marks few."""
    axes.set_xlabel("iteration")
    axes.set_xlim(0, last)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 3, 5, 10]))
