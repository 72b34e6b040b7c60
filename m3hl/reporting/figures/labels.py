"""Where labels stand in a drawing: beside the ends of lines, and beside points."""

from collections.abc import Sequence
from math import hypot, inf

Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""
ASIDE = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Directions in which a label can lie from its point, the best first."""
STEPS = (1.0, 1.8, 2.8, 4.2, 6.0)
"""How far, in heights of a line."""


def spread_out(places: Sequence[float], gap: float, high: float) -> list[float]:
    """Return places within [0, high], in the same order and as near as may be, that are `gap` or more apart.

    Where they find no room, they are evenly spread.

    >>> spread_out([0.5, 0.5], 0.25, 1.0)
    [0.375, 0.625]
    """
    order = sorted(range(len(places)), key=lambda n: places[n])
    gap = min(gap, high / max(len(places) - 1, 1))
    # Blocks of labels that touch: each lies where its labels would on average.
    blocks: list[list[int]] = []
    for n in order:
        blocks.append([n])
        while len(blocks) > 1 and start(blocks[-1], places, gap, high) - end(blocks[-2], places, gap, high) < gap:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    found = dict.fromkeys(order, 0.0)
    for block in blocks:
        first = start(block, places, gap, high)
        found |= {n: first + place * gap for place, n in enumerate(block)}
    return [found[n] for n in range(len(places))]


def start(block: list[int], places: Sequence[float], gap: float, high: float) -> float:
    """Return where the lowest label of a block lies."""
    length = gap * (len(block) - 1)
    middle = sum(places[n] for n in block) / len(block)
    return min(max(middle - length / 2, 0.0), high - length)


def end(block: list[int], places: Sequence[float], gap: float, high: float) -> float:
    """Return where the highest label of a block lies."""
    return start(block, places, gap, high) + gap * (len(block) - 1)


def beside_points(
    points: Sequence[tuple[float, float]], widths: Sequence[float], height: float, room: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return the centre of each point's label, near it and where labels, points and the border leave room.

    Args:
        points: x and y, from the lower left corner, in points.
        widths: of the labels.
        height: of a line of text.
        room: width and height of the drawing.
    """
    dots = [around(x, y, height * 0.7, height * 0.7) for x, y in points]
    placed: list[Box] = []
    # From the top down: labels of a crowd then fan out in one direction.
    found: dict[int, tuple[float, float]] = {}
    for n in sorted(range(len(points)), key=lambda n: -points[n][1]):
        (x, y), width = points[n], widths[n]
        best, least = (x, y), inf
        for step in STEPS:
            for right, up in ASIDE:
                center = x + right * (width / 2 + height * step / 2), y + up * height * step
                box = around(*center, width, height)
                cost = 6 * sum(overlap(box, other) for other in placed)
                cost += 3 * sum(overlap(box, dot) for m, dot in enumerate(dots) if m != n)
                cost += 20 * outside(box, room) + height * hypot(center[0] - x, center[1] - y) / 8
                if cost < least:
                    best, least = center, cost
        found[n] = best
        placed.append(around(*best, width, height))
    return [found[n] for n in range(len(points))]


def around(x: float, y: float, width: float, height: float) -> Box:
    """Return the box of an extent around a point."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def overlap(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    wide, high = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)


def outside(box: Box, room: tuple[float, float]) -> float:
    """Return the area of a box that lies outside of a room."""
    return (box[2] - box[0]) * (box[3] - box[1]) - overlap(box, (0.0, 0.0, *room))
