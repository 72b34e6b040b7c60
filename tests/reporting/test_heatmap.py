"""Heatmaps: values written in, gaps told apart, colours of the page."""

import re
from math import nan

from m3hl.reporting.figures.heatmap import FAINT, FULL, Cell, Side, heatmap

COLUMNS, ROWS = Side("size", ["16", "32"]), Side("ratio", ["25 %", "50 %"])


def draw(cells, *, high_is_good=True):
    return heatmap(cells, COLUMNS, ROWS, high_is_good=high_is_good, name="heat", description="Heat.")


def opacities(drawing):
    """Return the opacity of each cell that has a colour, row by row."""
    return [float(value) for value in re.findall(r"fill: var\(--series-1\); (?:fill-)?opacity: ([\d.]+)", drawing)]


def cells(*values):
    found = [Cell(value, f"{value}") for value in values]
    return [found[:2], found[2:]]


def test_the_best_is_fullest_whichever_way_is_good():
    assert opacities(draw(cells(1.0, 2.0, 3.0, 2.0))) == [FAINT, 0.28, FULL, 0.28]  # halfway, rounded
    assert opacities(draw(cells(1.0, 2.0, 3.0, 2.0), high_is_good=False))[::2] == [FULL, FAINT]


def test_equal_cells_look_equal():
    assert opacities(draw(cells(2.0, 2.0, 2.0, 2.0))) == [FULL] * 4


def test_values_and_ticks_are_text():
    drawing = draw(cells(1.5, 2.5, 3.5, 4.5))
    found = re.findall(r">([^<>\n]+)</text>", drawing)
    assert {"1.5", "2.5", "3.5", "4.5", "16", "32", "25 %", "50 %", "size", "ratio"} <= set(found)


def test_a_gap_is_hatched_where_a_value_is_to_come_and_a_dash_else():
    drawing = draw([[Cell(1.0, "1"), Cell(planned=True)], [Cell(), Cell(nan)]])
    assert len(re.findall(r"fill: url\(#heat-", drawing)) == 1
    assert len(re.findall(r">–</text>", drawing)) == 3
    assert draw([[Cell(), Cell()], [Cell(), Cell()]]).count("–</text>") == 4


def test_every_colour_is_the_pages():
    drawing = draw([[Cell(1.0, "1"), Cell(planned=True)], [Cell(), Cell(2.0, "2")]])
    assert not re.search(r"(fill|stroke): #", drawing)
