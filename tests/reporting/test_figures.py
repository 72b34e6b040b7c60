"""SVG of matplotlib, and axes."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3hl.reporting.figures.curves import dice_panel, loss_panel, parts_panel
from m3hl.reporting.figures.dots import percent_axis

HISTORY = pd.DataFrame(
    {"iteration": [10, 20], "learning_rate": 0.1, "loss": [1.0, 0.5], "val_student_dice": [np.nan, 50.0]}
)


def test_svg_takes_the_pages_colours_and_hides_ids():
    svg = loss_panel([(0, HISTORY), (1, HISTORY)], "here", "a < b")
    assert "var(--series-1)" in svg
    assert "var(--series-2)" in svg
    assert "a &lt; b" in svg
    assert not re.search(r"#0a0[bc]|<style|<metadata|DejaVu|\bdate\b", svg)
    assert all(name.startswith("here-") for name in re.findall(r'\bid="([^"]*)"', svg))
    assert svg == loss_panel([(0, HISTORY), (1, HISTORY)], "here", "a < b")


def test_panels_without_data_are_left_out():
    assert dice_panel([(0, HISTORY.drop(columns="val_student_dice"))], "x", "x", "Validation") is None
    assert dice_panel([(0, HISTORY)], "x", "x", "Validation") is not None
    assert parts_panel([HISTORY], "x", "x") is None
    _, parts = parts_panel([HISTORY.assign(mix=1.0, low=[0.0, 1.0])], "x", "x")
    assert parts == ["mix", "low"]


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_curves_that_are_not_finite_are_drawn_as_far_as_they_go(loss):
    assert loss_panel([(0, HISTORY.assign(loss=[1.0, loss]))], "x", "x")


@given(st.lists(st.floats(0, 100), min_size=1))
def test_an_axis_holds_every_value(values):
    axis = percent_axis(values)
    assert all(0 <= axis.place(value) <= 100 for value in values)
    assert 2 <= len(axis.ticks) <= 7
    assert (axis.place(axis.ticks[0]), axis.place(axis.ticks[-1])) == (0, 100)
