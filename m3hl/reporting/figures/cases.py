"""Test cases as points: their spread by method, and their paired differences."""

from dataclasses import dataclass

import numpy as np
from matplotlib.cbook import boxplot_stats
from matplotlib.ticker import MaxNLocator

from m3hl.reporting.casewise import CaseTest
from m3hl.reporting.figures.svg import INK, MUTED, Drawing, inline, panel, series
from m3hl.reporting.text import number, signed

WIDTH = 4.6
FEW = 6
"""Of more methods the boxes lie closer together."""
BOX, STRIP = 0.4, 0.36
"""Height of a box and how far its points lie below it, in rows."""


@dataclass(frozen=True)
class Spread:
    """A method's Dice of every test case, percent, and its number in the study, which decides the colour."""

    label: str
    index: int
    dice: np.ndarray


def boxes(spreads: list[Spread], name: str, title: str) -> Drawing:
    """Return one box per method: quartiles and median; whiskers to the last case within 1.5 box lengths."""
    medians = []
    with panel(WIDTH, 0.75 + (0.5 if len(spreads) <= FEW else 0.36) * len(spreads)) as (figure, axes):
        for place, spread in enumerate(spreads):
            color, box = series(spread.index), boxplot_stats(spread.dice)[0]
            medians.append(f"{spread.label} {number(box['med'], 1)}")
            axes.hlines(place, box["whislo"], box["whishi"], color=color, linewidth=1)
            left, length = box["q1"], box["q3"] - box["q1"]
            axes.barh(place, length, BOX, left, color=color, alpha=0.3)
            axes.vlines(box["med"], place - BOX / 2, place + BOX / 2, color=INK, linewidth=1.6)
            rows = np.full(len(spread.dice), place + STRIP)
            axes.plot(spread.dice, rows, "o", color=color, markersize=3.2, alpha=0.55, markeredgewidth=0)
        axes.set_yticks(range(len(spreads)), [spread.label for spread in spreads], color=INK)
        axes.set_ylim(len(spreads) - 0.4, -0.5)
        axes.set_xlabel("Dice of a case, %")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        return inline(figure, name, f"Dice of the test cases by method, {title}; medians: {', '.join(medians)}.")


def differences(test: CaseTest, colors: tuple[int, int], name: str, title: str) -> Drawing:
    """Return one stem per unit of a test, sorted, with mean and interval.

    Args:
        test: what is drawn.
        colors: numbers of the method and the baseline in the study; each colours what it is better on.
        name, title: of the drawing, and of what it is about.
    """
    values, result = np.sort(test.differences.to_numpy()), test.result
    places = np.arange(1, len(values) + 1)
    with panel(WIDTH, 2.4) as (figure, axes):
        if result.n > 1:
            axes.axhspan(result.low, result.high, color=MUTED, alpha=0.2, linewidth=0)
        axes.axhline(result.mean, color=INK, linestyle="--", linewidth=1)
        axes.axhline(0, color=INK, linewidth=1)
        for side, index in zip((values > 0, values < 0), colors, strict=True):
            axes.vlines(places[side], 0, values[side], color=series(index), linewidth=1)
            axes.plot(places[side], values[side], "o", color=series(index), markersize=3.6)
        axes.plot(places[values == 0], values[values == 0], "o", color=MUTED, markersize=3.6)
        axes.set_xlim(0, len(values) + 1)
        axes.set_xticks([])
        axes.set_ylabel("difference in Dice, points")
        return inline(
            figure,
            name,
            f"Differences in Dice, {title}, sorted, from {signed(values[0], 1)} to {signed(values[-1], 1)} "
            f"percentage points; {result.above} of {result.n} above zero, mean {signed(result.mean, 1)}.",
        )
