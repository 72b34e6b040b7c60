"""Numbers as dots on a common axis: places for the page, whose template draws them, and a drawing for a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor

from m3hl.reporting.figures.svg import INK, Drawing, inline, panel, series


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high` with a tick at every `step`."""

    low: float
    high: float
    step: float

    def place(self, value: float) -> float:
        """Return where a value lies, in percent of the axis."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> list[float]:
        """Values with a tick."""
        return [self.low + n * self.step for n in range(round((self.high - self.low) / self.step) + 1)]


def percent_axis(values: Iterable[float]) -> Axis:
    """Return an axis within 0 and 100 that holds all values, with two to seven ticks.

    >>> percent_axis([81.2, 93.0])
    Axis(low=80, high=95, step=5)
    """
    values = list(values)
    for step in (1, 2, 5, 10, 20):
        low, high = floor(min(values) / step) * step, ceil(max(values) / step) * step
        if high - low <= 5 * step:
            break
    return Axis(low, max(high, low + step), step)


@dataclass(frozen=True)
class Dots:
    """A method's values, percent, the printed ones, and its number in the study, which decides the colour."""

    label: str
    index: int
    values: list[float]
    printed: list[float]


def dots_drawing(rows: list[Dots], axis: Axis, name: str, title: str) -> Drawing:
    """Return one line of dots per method; diamonds are printed values."""
    with panel(4.6, 0.75 + 0.28 * len(rows)) as (figure, axes):
        for place, row in enumerate(rows):
            axes.plot(
                row.values, [place] * len(row.values), "o", color=series(row.index), markersize=6, alpha=0.85
            )
            axes.plot(row.printed, [place] * len(row.printed), "D", color=INK, markersize=6, fillstyle="none")
        axes.set_yticks(range(len(rows)), [row.label for row in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(axis.low, axis.high)
        axes.set_xticks(axis.ticks)
        axes.set_xlabel("Dice, %")
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        return inline(figure, name, f"Dice of every run, {title}.")
