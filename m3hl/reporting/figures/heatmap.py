"""A heatmap with every value written into its cell: legible on any ground, in colour or without."""

from dataclasses import dataclass
from math import isnan, nan

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from m3hl.reporting.figures.svg import INK, MUTED, RULE, Drawing, inline, panel, series
from m3hl.reporting.text import NONE

FAINT, FULL = 0.05, 0.5
"""Opacity of the worst and of the best cell: at one half, ink is still easy to read on it."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        value: what decides its colour; NaN where there is none.
        text: the value as it is written, with the spread below it.
        planned: whether a value is still to come; if so, a cell without one is hatched.
    """

    value: float = nan
    text: str = NONE
    planned: bool = False


@dataclass(frozen=True)
class Side:
    """A side of the heatmap: what it shows, and the settings along it."""

    label: str
    ticks: list[str]


def heatmap(
    cells: list[list[Cell]], columns: Side, rows: Side, *, high_is_good: bool, name: str, description: str
) -> Drawing:
    """Return rows of cells, from the top, the better the fuller in colour.

    Args:
        cells: a list for each row.
        columns, rows: what stands beside them.
        high_is_good: whether the highest value is the best.
        name: unique on the page.
        description: what a reader who cannot see it is told.
    """
    values = [cell.value for row in cells for cell in row if not isnan(cell.value)] or [0.0]
    worst, best = (min(values), max(values)) if high_is_good else (max(values), min(values))
    with panel(3.6, 0.85 + 0.5 * len(cells)) as (figure, axes):
        for y, row in enumerate(cells):
            for x, cell in enumerate(row):
                share = (cell.value - worst) / (best - worst) if best != worst else 1.0
                draw(axes, x, y, cell, FAINT + (FULL - FAINT) * share)
        axes.set(xlim=(0, len(columns.ticks)), ylim=(len(rows.ticks), 0), xlabel=columns.label, ylabel=rows.label)
        axes.set_xticks([x + 0.5 for x in range(len(columns.ticks))], columns.ticks)
        axes.set_yticks([y + 0.5 for y in range(len(rows.ticks))], rows.ticks)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return inline(figure, name, description)


def draw(axes: Axes, x: int, y: int, cell: Cell, opacity: float) -> None:
    """Draw one cell whose corner is at column `x` and row `y`."""
    gap = isnan(cell.value)
    axes.add_patch(
        Rectangle(
            (x + 0.03, y + 0.03),
            0.94,
            0.94,
            facecolor="none" if gap else to_rgba(series(0), opacity),
            edgecolor=RULE if gap else "none",
            hatch="////" if gap and cell.planned else None,
        )
    )
    color = MUTED if gap else INK
    axes.text(x + 0.5, y + 0.5, cell.text, color=color, ha="center", va="center", linespacing=1.3)
