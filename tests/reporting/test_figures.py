"""Cut-outs, outlines, PNG and SVG."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m3hl.reporting.figures.curves import dice_panel, loss_panel, parts_panel, points
from m3hl.reporting.figures.dots import percent_axis
from m3hl.reporting.figures.slices import choose_cut, outline, plane, png, window

HISTORY = pd.DataFrame(
    {"iteration": [10, 20], "learning_rate": 0.1, "loss": [1.0, 0.5], "val_student_dice": [np.nan, 50.0]}
)


def test_the_cut_shows_the_slice_with_most_truth():
    truth = np.zeros((5, 100, 120), np.uint8)
    truth[1, 10:20, 10:20], truth[3, 40:60, 70:90] = 1, 2
    cut = choose_cut(truth, 2)
    assert cut.index == 3
    assert np.count_nonzero(cut(truth)) == 400
    assert cut(truth).shape == (32, 32)


def test_volumes_are_shown_with_x_to_the_right():
    volume = np.zeros((4, 3, 2))
    volume[3, 0, 1] = 1
    assert plane(volume, 1, 3).shape == (3, 4)
    assert plane(volume, 1, 3)[0, 3] == 1
    truth = np.zeros((60, 50, 8), np.uint8)
    truth[20:30, 5:15, 6] = 1
    cut = choose_cut(truth, 3)
    assert cut.index == 6
    assert np.count_nonzero(cut(truth)) == 100


def test_an_empty_label_map_is_cut_in_the_middle():
    assert choose_cut(np.zeros((3, 64, 64), np.uint8), 2)(np.ones((3, 64, 64))).shape == (32, 32)


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 100))
def test_a_window_lies_inside(center, side, size):
    found = window(min(center, size - 1), side, size)
    assert 0 <= found.start < found.stop <= size
    assert found.stop - found.start == min(side, size)
    assert found.start <= min(center, size - 1) <= found.stop


def test_an_outline_runs_half_a_pixel_around_its_pixel():
    labels = np.zeros((4, 4), np.uint8)
    labels[1, 2] = 1
    points = {tuple(map(float, point.split(","))) for point in re.findall(r"[\d.]+,[\d.]+", outline(labels))}
    assert points == {(2.5, 1), (2.5, 2), (2, 1.5), (3, 1.5)}
    assert outline(labels).count("Z") == 1
    labels[0, 0] = 2
    assert outline(labels).count("Z") == 2
    assert outline(np.zeros((4, 4), np.uint8)) == ""


def test_png_stretches_the_grey_values():
    image = np.linspace(-3, 9, 200).reshape(10, 20)
    head, data = png(image).split(",")
    assert head == "data:image/png;base64"
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert decoded.shape == (10, 20)
    assert (decoded.min(), decoded.max()) == (0, 255)
    assert np.all(np.diff(decoded.ravel().astype(int)) >= 0)
    assert png(np.ones((3, 3)))


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
