"""One point per method, each with its label beside it: printed against reproduced, quality against cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from m3hl.reporting.figures.labels import beside_points
from m3hl.reporting.figures.svg import INK, MUTED, RULE, Drawing, inline, panel, series

WIDTH, HEIGHT = 4.6, 3.6
LABEL, SIGN = 8, 0.64
"""Points of a label's text, and a sign's width in it."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Shapes of points, so that colour is not all that tells methods apart."""
MARGIN = 0.12


@dataclass(frozen=True)
class Point:
    """A method: its label, its number in the study, which decides colour and shape, and its place."""

    label: str
    index: int
    x: float
    y: float


def scatter(
    points: Sequence[Point],
    heads: tuple[str, str],
    name: str,
    description: str,
    *,
    diagonal: bool = False,
    from_zero: bool = False,
) -> Drawing:
    """Return a drawing of at least one point.

    Args:
        points: one per method.
        heads: of both axes, with units.
        name: unique on the page.
        description: what a reader who cannot see it is told.
        diagonal: whether both axes have one scale and a dashed line where x = y.
        from_zero: whether the x axis begins at 0.
    """
    with panel(WIDTH, HEIGHT) as (figure, axes):
        set_limits(axes, points, diagonal=diagonal, from_zero=from_zero)
        if diagonal:
            axes.axline((0, 0), slope=1, color=MUTED, linewidth=1, linestyle="--")
        for point in points:
            marker = MARKERS[point.index % len(MARKERS)]
            axes.plot(point.x, point.y, marker, color=series(point.index), markersize=6, markeredgewidth=0)
        axes.grid(visible=True, axis="both")
        axes.set_xlabel(heads[0])
        axes.set_ylabel(heads[1])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        # Only now is the room known that the axes leave.
        figure.draw_without_rendering()
        write_labels(axes, points)
        return inline(figure, name, description)


def set_limits(axes: Axes, points: Sequence[Point], *, diagonal: bool, from_zero: bool) -> None:
    """Set the limits of both axes around the points."""
    xs, ys = ([getattr(point, side) for point in points] for side in "xy")
    spans = [max(values) - min(values) for values in (xs, ys)]
    if diagonal:
        spans = [max(spans)] * 2
    for values, span, set_limit in zip((xs, ys), spans, (axes.set_xlim, axes.set_ylim), strict=True):
        middle, half = (max(values) + min(values)) / 2, (0.5 + MARGIN) * (span or 1.0)
        set_limit(middle - half, middle + half)
    if from_zero:
        axes.set_xlim(0, max(xs) * (1 + MARGIN) or 1.0)


def write_labels(axes: Axes, points: Sequence[Point]) -> None:
    """Write each point's label near it, with a thin line where it is not beside it."""
    box = axes.get_window_extent()
    scale = 72 / axes.figure.dpi
    to_points = [
        tuple((axes.transData.transform((point.x, point.y)) - (box.x0, box.y0)) * scale) for point in points
    ]
    widths = [LABEL * SIGN * len(point.label) for point in points]
    room = box.width * scale, box.height * scale
    centers = beside_points(to_points, widths, LABEL * 1.15, room)
    for point, (x, y), (at_x, at_y), width in zip(points, to_points, centers, widths, strict=True):
        far = abs(at_y - y) > LABEL * 1.2 or abs(at_x - x) > width / 2 + LABEL * 1.2
        axes.annotate(
            point.label,
            (point.x, point.y),
            (at_x - x, at_y - y),
            textcoords="offset points",
            fontsize=LABEL,
            color=INK,
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": RULE, "linewidth": 0.8, "shrinkB": 3} if far else None,
        )
