"""Tables and figures as files."""

import io
import re
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from PIL import Image

from m3hl.reporting.exports import Table, collect, latex, markdown, write_exports
from m3hl.reporting.figures.svg import Drawing, inline, panel, series
from m3hl.reporting.sections import results
from m3hl.reporting.study import load_study


@pytest.fixture
def table():
    return Table("t", "Dice in %.", pd.DataFrame({"a_b": ["x & y", "p|q"], "dice": [1.2345, None], "n": [1, 2]}))


@pytest.fixture
def drawing():
    with panel() as (figure, axes):
        axes.plot([0, 1], [0, 1], color=series(0))
        axes.set_xlabel("iteration")
        return inline(figure, "line", "A line.")


def test_markdown_has_a_column_per_bar(table):
    caption, _, head, rule, *rows = markdown(table).splitlines()
    assert (caption, head, rule) == ("Dice in %.", "| a_b | dice | n |", "| --- | --- | --- |")
    assert rows == ["| x & y | 1.23 | 1 |", r"| p\|q | – | 2 |"]


def test_latex_escapes_and_rules(table):
    text = latex(table)
    assert re.findall(r"\\(?:top|mid|bottom)rule", text) == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"\caption{Dice in \%.}" in text
    assert r"a\_b & dice & n \\" in text
    assert r"x \& y & 1.23 & 1 \\" in text


def test_collect_finds_tables_at_any_depth(table):
    other = Table("u", "", table.data)
    assert list(collect({"a": [1, (table, {"b": other})], "c": "t"}, Table)) == [table, other]


def test_files_hold_what_the_page_shows(tmp_path, table, drawing):
    written = write_exports([{"a": table}, {"b": [drawing]}], tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in written} == {
        "tables/t.csv", "tables/t.md", "tables/t.tex", "figures/line.svg", "figures/line.png",
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["line.png", "line.svg"]
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO((tmp_path / "tables/t.csv").read_text())), table.data)
    svg = (tmp_path / "figures/line.svg").read_text()
    assert ElementTree.fromstring(svg).get("width") == "259.2"
    assert "var(" not in svg
    with Image.open(tmp_path / "figures/line.png") as picture:
        assert picture.width == 3 * 259
        colors = {color for _, color in picture.convert("RGB").getcolors(2**24)}
        assert {(255, 255, 255), (0, 0x67, 0xA8)} <= colors  # paper, and the first series' colour on light ground


def test_a_drawing_is_markup(drawing):
    assert isinstance(drawing, Drawing)
    assert drawing.__html__().startswith("<svg")


def test_the_dice_of_every_run_is_a_file_too(whole, make_config):
    study = load_study(make_config(), whole)
    (drawing,) = (d for d in collect(results.content(study), Drawing) if d.name == "dice-of-runs-hearts")
    assert {"Supervised 3", "M³HL 3"} <= set(re.findall(r">([^<]+)</text>", drawing))
    colors = re.findall(r"fill: var\(--series-(\d)\)", drawing)
    assert sorted(set(colors)) == ["1", "2"]
