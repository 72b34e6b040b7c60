"""The section Examples: Fig. 3 as files, and the slices that the viewer shows."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import pytest
import resvg_py
from PIL import Image

from m3hl.data.store import Store
from m3hl.reporting.exports import collect, standalone
from m3hl.reporting.figures.outlines import outline
from m3hl.reporting.figures.panels import Panel, View, panel_row
from m3hl.reporting.figures.pictures import png
from m3hl.reporting.figures.slices import MOST
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.figures.viewer import BUDGET, viewer
from m3hl.reporting.page import gather, render
from m3hl.reporting.palette import palette
from m3hl.reporting.sections import examples
from m3hl.reporting.study import load_study


@pytest.fixture
def view():
    """Return a black slice with a square of truth."""
    truth = np.zeros((40, 50), np.uint8)
    truth[10:30, 10:30] = 1
    return View(png(truth * 0), 40, 50, outline(truth))


def islands(html):
    """Return what the page's scripts of JSON hold."""
    found = re.findall(r'<script type="application/json" id="[^"]*">(.*?)</script>', html, re.DOTALL)
    return [json.loads(text) for text in found]


def islands_of(study):
    return islands(render(study, gather(study)))


def drawn_colors(drawing):
    """Return every colour of a drawing's file."""
    picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=standalone(drawing), zoom=3))))
    return {"#{:02x}{:02x}{:02x}".format(*color) for _, color in picture.convert("RGB").getcolors(2**24)}


def test_a_row_of_panels_stands_alone_as_a_file(view):
    panels = [Panel("A & <B>", 0, "Dice 81.3", view.truth, ""), Panel("C", 9, "", None, "training has not ended")]
    drawing = panel_row("row", "hearts, best", view, panels, "† a note")
    root = ElementTree.fromstring(standalone(drawing))
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words == [
        "hearts, best", "image", "truth", "A & <B>", "Dice 81.3", "not yet: training has", "not ended", "C",
        "† a note",
    ]  # fmt: skip
    assert "var(" not in standalone(drawing)
    assert "class=" not in standalone(drawing).partition("<title>")[2]


def test_outlines_keep_their_colours_on_dark_ground_in_the_file(view):
    shifted = view.truth.replace("M", "M-5,-5l0,0M", 1)
    colors = drawn_colors(panel_row("row", "", view, [Panel("A", 1, "", shifted, "")], ""))
    assert {palette("dark")["series-2"], "#000000", "#ffffff"} <= colors
    assert palette("dark")["series-1"] not in colors


@pytest.mark.parametrize(("panels", "box"), [(1, "-2 0 454 184"), (4, "-2 0 794 184"), (5, "-2 0 794 344")])
def test_panels_go_on_in_a_second_row(view, panels, box):
    drawing = panel_row("row", "", view, [Panel("A", 0, "", view.truth, "")] * panels, "")
    assert f'viewBox="{box}"' in drawing


def test_every_example_is_a_drawing(whole, make_config):
    drawings = list(collect(examples.content(load_study(make_config(), whole)), Drawing))
    assert [drawing.name for drawing in drawings] == [
        f"examples-{dataset}-{rank}" for dataset in ("hearts", "atria") for rank in ("best", "median", "worst")
    ]
    for drawing in drawings:
        assert {palette("dark")[f"series-{n}"] for n in (1, 2)} <= drawn_colors(drawing)
        assert {"Supervised", "M³HL"} <= set(re.findall(r">([^<]+)</text>", drawing))


def test_an_island_holds_truth_and_predictions_slice_by_slice(whole, make_config):
    study = load_study(make_config(), whole)
    hearts, atria = islands_of(study)
    assert [case["rank"] for case in hearts] == ["Best", "Median", "Worst"]
    for case in (*hearts, *atria):
        assert len(case["images"]) == len(case["slices"]) <= case["total"]
        assert [len(paths) for paths in case["outlines"]] == [len(case["slices"])] * 3
        assert all(b - a == case["step"] for a, b in pairwise(case["slices"]))
        assert re.fullmatch(r"Dice \d+\.\d", case["notes"][1])
    with Store(study.datasets["hearts"].store) as store:
        truth = store.label(hearts[0]["name"])
    counts = np.count_nonzero(truth, axis=(1, 2))
    assert hearts[0]["slices"][hearts[0]["start"]] == counts.argmax() + 1
    assert [path != "" for path in hearts[0]["outlines"][0]] == [counts[n - 1] > 0 for n in hearts[0]["slices"]]


def test_a_missing_prediction_is_named_and_has_no_outlines(results, make_config):
    config = make_config()
    for run in config.runs():
        if run.method == "supervised" and run.dataset == "hearts":
            (results / run.path / "predictions.h5").unlink()
    study = load_study(config, results)
    (case, *_), _ = islands_of(study)
    assert case["outlines"][1] is None
    assert case["outlines"][2] is not None
    assert case["notes"][1] == "not yet: there is no predictions.h5"
    drawing = next(collect(examples.content(study), Drawing))
    assert "not yet: there is no" in drawing


def test_without_any_structure_there_is_no_best_case(whole, make_config):
    study = load_study(make_config(), whole)
    absent = [replace(result, metrics=result.metrics.assign(absent=True)) for result in study.results]
    first, _ = examples.content(replace(study, results=tuple(absent)))["datasets"]
    assert first["missing"] == "no test case has a structure by which it could be ranked"


def test_one_method_is_enough(whole, make_config):
    block = {"dataset": ["hearts"], "method": ["supervised"], "labeled": [3], "seed": [1]}
    ((case, *_),) = islands_of(load_study(make_config(experiments=[block]), whole))
    assert len(case["outlines"]) == len(case["notes"]) == 2


def test_a_prediction_of_another_shape_is_a_gap(results, make_config):
    config = make_config()
    with h5py.File(results / config.runs()[0].path / "predictions.h5", "r+") as file:
        for case in list(file):
            del file[case]
            file[case] = np.zeros((6, 40, 45), np.uint8)
    (case, *_), _ = islands_of(load_study(config, results))
    assert "has (6, 40, 45) slices and pixels, its label (6, 40, 44)" in case["notes"][1]


def test_names_cannot_end_an_island(whole, make_config, monkeypatch):
    monkeypatch.setattr(examples, "viewer_content", lambda rank, case: {"rank": rank, "name": "</script><b>"})
    html = render(study := load_study(make_config(), whole), gather(study))
    assert "</script><b>" not in html
    assert {case["name"] for island in islands(html) for case in island} == {"</script><b>"}


def test_studies_of_many_data_sets_have_stills_only(whole, make_config, monkeypatch):
    monkeypatch.setattr(examples, "MOST_VIEWERS", 1)
    study = load_study(make_config(), whole)
    html = render(study, gather(study))
    assert islands(html) == []
    assert 'class="viewer"' not in html
    assert html.count('<figure class="case">') == 6


def test_a_case_keeps_its_budget_by_fewer_slices():
    images = np.random.default_rng(0).integers(0, 256, (24, 128, 128), np.uint8)  # 12 to 20 kB each
    found = viewer(images, np.ones_like(images), [None])
    assert BUDGET / 2 < len(json.dumps(found)) <= BUDGET
    assert (found["step"], len(found["slices"])) == (2, 12)


def test_many_slices_are_thinned_evenly_and_keep_the_fullest():
    truth = np.zeros((90, 40, 40), np.uint8)
    truth[5:85, 10:20, 10:20] = 1
    truth[41] = 1
    found = viewer(truth * 9, truth, [truth])
    assert found["step"] == 3
    assert len(found["slices"]) <= MOST
    assert (found["slices"][0], found["slices"][-1]) == (3, 90)
    assert found["slices"][found["start"]] == 42


def test_a_case_without_truth_shows_what_methods_mark():
    truth = np.zeros((5, 40, 40), np.uint8)
    found = viewer(truth, truth, [truth + 1])
    assert found["slices"] == [1, 2, 3, 4, 5]
    assert found["outlines"][0] == [""] * 5
    assert all(found["outlines"][1])
