"""SVG of matplotlib, and axes."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3hl.reporting.figures.curves import (
    diagnostics_panel,
    dice_panel,
    loss_panel,
    network_places,
    parts_panel,
    points,
    stage_borders,
)
from m3hl.reporting.figures.dots import percent_axis
from m3hl.reporting.figures.line_ends import ends

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
    assert dice_panel([(0, HISTORY.drop(columns="val_student_dice"))], "x", "x", "val", "Validation") is None
    assert dice_panel([(0, HISTORY)], "x", "x", "val", "Validation") is not None
    assert dice_panel([(0, HISTORY)], "x", "x", "pseudo", "Pseudo-label") is None
    assert parts_panel([HISTORY], "x", "x") is None
    _, parts = parts_panel([HISTORY.assign(mix=1.0, low=[0.0, 1.0], pseudo_student_dice=50.0)], "x", "x")
    assert parts == ["mix", "low"]


def test_the_pseudo_labels_of_the_teacher_are_a_dashed_line():
    history = HISTORY.assign(pseudo_student_dice=[30.0, 40.0], pseudo_teacher_dice=[20.0, 30.0])
    drawing = dice_panel([(1, history)], "x", "hearts", "pseudo", "Pseudo-label")
    lines = re.findall(r"<path[^>]*var\(--series-2\)[^>]*>", drawing)
    assert ["dasharray" in line for line in lines] == [False, True]
    assert drawing.description == "Pseudo-label Dice by iteration, hearts."


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["student"], [0]),
        (["student", "teacher"], [0, 1]),
        (["teacher", "student"], [1, 0]),
        (["network_1", "network_2"], [0, 1]),
        (["both", "second", "teacher"], [0, 2, 1]),
        (["student", "teacher_1", "teacher_2"], [0, 1, 2]),
    ],
)
def test_every_network_has_a_line_style_of_its_own(names, places):
    columns = [f"{kind}_{name}_dice" for kind in ("val", "pseudo") for name in names]
    history = HISTORY[["iteration", "loss"]].assign(**dict.fromkeys(columns, 50.0))
    assert network_places(history) == dict(zip(names, places, strict=True))
    lines = re.findall(
        r"<path[^>]*var\(--series-1\)[^>]*>", dice_panel([(0, history)], "x", "x", "val", "Validation")
    )
    dashes = [re.search(r"stroke-dasharray:[^;]*", line) for line in lines]
    assert len({dash and dash[0] for dash in dashes}) == len(names)


def test_what_is_logged_beside_the_loss_is_none_of_its_parts():
    history = HISTORY.assign(consistency=1.0, kappa=[0.0, 0.5], stage=2)
    labels = {"kappa": "κ, share", "weight": "weight"}
    _, parts = parts_panel([history], "x", "x", labels)
    assert parts == ["consistency"]
    drawing, shown = diagnostics_panel([history], "here", "hearts", labels)
    assert shown == ["κ, share"]
    assert drawing.description == "κ, share: by iteration, hearts."
    assert diagnostics_panel([history], "x", "x", {}) is None
    assert parts_panel([HISTORY.assign(stage=1)], "x", "x") is None


def test_a_stage_begins_at_a_dotted_line_in_the_colour_of_its_run():
    staged = HISTORY.assign(stage=[1, 2], part=1.0)
    assert (stage_borders(staged), stage_borders(HISTORY), stage_borders(HISTORY.assign(stage=1))) == (
        [10],
        [],
        [],
    )
    panels = [
        (loss_panel([(1, staged), (1, staged), (0, HISTORY)], "x", "x"), "--series-2"),
        (dice_panel([(1, staged)], "x", "x", "val", "Validation"), "--series-2"),
        (parts_panel([staged], "x", "x")[0], "--muted"),
        (diagnostics_panel([staged], "x", "x", {"part": "part"})[0], "--muted"),
    ]
    for drawing, color in panels:
        dotted = [path for path in re.findall(r"<path[^>]*>", drawing) if "stroke-dasharray" in path]
        assert len(dotted) == 1
        assert f"var({color})" in dotted[0]


@pytest.mark.parametrize(("rows", "lines", "drawn"), [(150, 1, 150), (750, 1, 188), (750, 60, 94), (750, 999, 50)])
def test_long_lines_are_thinned_and_keep_their_end(rows, lines, drawn):
    history = pd.DataFrame({"iteration": np.arange(1, rows + 1), "loss": np.arange(rows) / 2})
    iterations, values = points(history, "loss", lines)
    assert len(iterations) == drawn
    assert iterations[-1] == rows
    assert np.ptp(np.diff(iterations)) == 0
    assert (values == (iterations - 1) / 2).all()


def test_a_panel_of_300_runs_stays_small():
    rng, steps = np.random.default_rng(1), np.arange(1, 751) * 40
    curves = [(n, pd.DataFrame({"iteration": steps, "loss": rng.random(750)})) for n in range(300)]
    assert len(loss_panel(curves, "x", "x")) < 350_000


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_curves_that_are_not_finite_are_drawn_as_far_as_they_go(loss):
    assert loss_panel([(0, HISTORY.assign(loss=[1.0, loss]))], "x", "x")


@given(st.lists(st.floats(0, 100), min_size=1))
def test_an_axis_holds_every_value(values):
    axis = percent_axis(values)
    assert all(0 <= axis.place(value) <= 100 for value in values)
    assert 2 <= len(axis.ticks) <= 7
    assert (axis.place(axis.ticks[0]), axis.place(axis.ticks[-1])) == (0, 100)


def test_a_curve_that_ends_early_is_led_to_its_name():
    """The label stands beside the panel, whose end is that of the longest curve."""
    short = HISTORY[HISTORY["iteration"] < HISTORY["iteration"].max()]
    drawing = loss_panel([(0, HISTORY), (1, short)], "x", "x", {0: "long", 1: "short"})
    pale = re.findall(r"<path[^>]*opacity: 0.35[^>]*>", drawing)
    assert len(pale) == 1
    assert "--series-2" in pale[0]


def test_a_name_stands_where_the_curves_of_all_seeds_end_on_average():
    seeds = [HISTORY, HISTORY.assign(loss=[1.0, 0.1]), HISTORY.assign(loss=[0.7, np.nan])]
    found = ends([(3, history, "loss") for history in seeds], {3: "mine"})
    assert found == {3: ("mine", 20, pytest.approx((0.5 + 0.1 + 0.7) / 3))}
    assert ends([(0, HISTORY.assign(loss=np.nan), "loss")], {0: "mine"}) == {}
