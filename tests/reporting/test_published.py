"""The published numbers, against the paper, and when they are shown."""

import re
from math import isnan
from pathlib import Path

import pytest

from m3hl.config.experiment import parse_config
from m3hl.reporting.page import gather, render
from m3hl.reporting.published import FIGURE4_KIND, TABLE2, table1
from m3hl.reporting.sections import answer, results
from m3hl.reporting.study import load_study

PAPER = Path(__file__).resolve().parents[2].parent / "shared" / "spec" / "paper.txt"
NAMES = {"Supervised": "SupOnly", "M³HL": "Ours", "BCP*": r"BCP\*", "OMF*": r"OMF\*"}


def page_of(study):
    return render(study, gather(study))


@pytest.mark.skipif(not PAPER.is_file(), reason="the paper's text is not beside the project")
def test_every_number_is_the_papers():
    text = PAPER.read_text(encoding="utf-8")
    table = text[text.index("Table 1:") : text.index("Fig. 3:")]
    for acdc, la in zip(table1("acdc"), table1("la"), strict=True):
        line = next(
            x
            for x in table.splitlines()
            if re.search(rf"\b{NAMES.get(acdc.method, acdc.method)}\b|{NAMES.get(acdc.method, acdc.method)}", x)
            and "\t" in x
        )
        printed = [None if cell in "–_" else float(cell) for cell in line.split("\t")[1:]]
        ours = [None if isnan(v) else v for row in (acdc, la) for v in (row.dice, row.jaccard, row.hd95, row.asd)]
        assert printed == ours
    assert len(table1("la")) == 12


def public(make_config, labeled, **training):
    return make_config(
        datasets={
            "acdc": {"kind": "acdc", "source": "public", "path": "x", "training": training},
            "la": {"kind": "la", "source": "public", "path": "x"},
        },
        experiments=[
            {"dataset": ["acdc", "la"], "method": ["m3hl", "supervised"], "labeled": labeled, "seed": [1]}
        ],
    )


def shown(config, folder):
    return {d["facts"].name: len(d["published"]) for d in results.content(load_study(config, folder))["datasets"]}


def test_shown_only_beside_the_papers_labeled_counts(make_config, tmp_path):
    assert shown(public(make_config, [7]), tmp_path) == {"acdc": 12, "la": 0}
    assert shown(public(make_config, [8, 16]), tmp_path) == {"acdc": 0, "la": 12}
    assert shown(make_config(), tmp_path) == {"hearts": 0, "atria": 0}


def test_a_phantom_never_stands_beside_them(make_config, tmp_path):
    block = {"dataset": ["hearts"], "method": ["m3hl"], "labeled": [7], "seed": [1]}
    assert shown(make_config(experiments=[block]), tmp_path) == {"hearts": 0}


def test_other_settings_are_said_beside_them(make_config, tmp_path):
    html = page_of(load_study(public(make_config, [7, 8], iterations=500), tmp_path))
    assert "500 iterations instead of 30\u202f000" in html
    assert html.count("point of reference") == 1
    assert "79.41" in html
    assert "13.35" in html
    assert "prints 1.51" in html


def test_the_answer_names_the_papers_gain(make_config, tmp_path):
    study = load_study(public(make_config, [7, 8]), tmp_path)
    assert answer.printed_gain(study, "acdc") == "+11.1 percentage points on acdc"
    assert answer.printed_gain(study, "la") == "+8.3 percentage points on la"
    (said,) = answer.paper_says(study)
    assert said == "The paper prints +11.1 percentage points on acdc and +8.3 percentage points on la."


def test_the_answer_says_that_other_settings_refute_nothing(make_config, tmp_path):
    knob = {"supervised": {"method": "supervised"}, "m3hl": {"method": "m3hl", "options": {"mask_ratio": 0.3}}}
    fewer = public(make_config, [7, 8], iterations=500)
    turned = parse_config(public(make_config, [7, 8]).model_dump(exclude_unset=True) | {"methods": knob})
    for config in (fewer, turned):
        (said,) = answer.paper_says(load_study(config, tmp_path))
        assert said.startswith("The paper prints +11.1 percentage points on acdc and +8.3 percentage points on la")
        assert "neither confirms nor refutes" in said


def test_the_answer_says_how_small_a_study_is_and_which_labels_the_paper_had(make_config, tmp_path):
    (said,) = answer.paper_says(load_study(public(make_config, [3], iterations=500), tmp_path))
    assert (
        "+11.1 percentage points on acdc with 7 labeled patients and +8.3 percentage points on la with 8 " in said
    )
    assert "this study is smaller (500 of 30\u202f000 iterations at 256×256 voxels on acdc), " in said
    assert said.endswith("and neither confirms nor refutes it (see Results).")
    (said,) = answer.paper_says(load_study(public(make_config, [7, 8], channels=8), tmp_path))
    assert "this study has other settings, and neither" in said


@pytest.mark.skipif(not PAPER.is_file(), reason="the paper's text is not beside the project")
def test_every_number_of_table_2_is_the_papers():
    text = PAPER.read_text(encoding="utf-8")
    table = text[text.index("Table 2: ") : text.index("Selection of Mask Patch Size")]
    rows = [line.split("\t")[:8] for line in table.splitlines() if re.search(r"\t\d+\.\d+\t$", line)]
    assert len(rows) == len(TABLE2) == 7
    for (name, *marks, dice, jaccard, asd, hd95), row in zip(rows, TABLE2, strict=True):
        assert re.sub(r"\\mathrm|[${}^\s]", "", name).replace("3", "³") == row.method.replace(" ", "")
        assert tuple(mark == "✓" for mark in marks) == row.losses
        # The heads of the last two columns are swapped in print.
        assert [float(value) for value in (dice, jaccard, asd, hd95)] == [row.dice, row.jaccard, row.hd95, row.asd]


@pytest.mark.skipif(not PAPER.is_file(), reason="the paper's text is not beside the project")
def test_what_is_said_of_figure_4_is_the_papers():
    text = PAPER.read_text(encoding="utf-8")
    assert "optimal performance is achieved with a patch size of 64 and a mask ratio of 50%" in text
    assert "on the ACDC dataset (10% labeled data)" in text
    assert FIGURE4_KIND == "acdc"


def test_the_last_row_of_table_2_is_that_of_table_1():
    ours = next(row for row in table1("la") if row.ours == "m3hl")
    last = TABLE2[-1]
    assert (last.dice, last.jaccard, last.hd95, last.asd) == (ours.dice, ours.jaccard, ours.hd95, ours.asd)
    assert last.losses == (False, True, True)
