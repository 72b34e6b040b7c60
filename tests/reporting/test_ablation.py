"""The ablations: recognised by settings, complete for config/ablation.yaml, gaps shown."""

import re
from itertools import product
from math import isnan

import pytest

from m3hl.config.methods import m3hl
from m3hl.reporting import published
from m3hl.reporting.exports import Table, collect
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.page import gather, render
from m3hl.reporting.sections import ablation
from m3hl.reporting.study import load_study
from tests.reporting.ablation_study import made_up_dice, planned_ablation, small, write_made_up
from tests.reporting.test_page import Page

LOSSES = ("supervised_loss", "mix_loss", "consistency_loss")
RATIOS, PATCHES = (0.25, 0.5, 0.75), (16, 32, 64, 128)


def with_losses(sup, mix, hl):
    return {"options": dict(zip(LOSSES, (sup, mix, hl), strict=True))}


def losses_of(table):
    return [(line.losses, line.mixed, line.line and line.line.row.method) for line in table["lines"]]


def written(drawing):
    return set(re.findall(r">([\d.]+\.\d\d)<", drawing))


def test_the_planned_study_has_every_run_that_the_section_shows_and_no_other(content_of):
    config = planned_ablation()
    content = content_of(config)
    (table,), (grid,) = content["la"]["loss_tables"], content["acdc"]["grids"]
    assert [line.losses for line in table["lines"] if line.mixed] == [row.losses for row in published.TABLE2]
    assert all(line.line and line.line.scores for line in table["lines"])
    assert (len(grid["lines"]), grid["ended"], grid["holes"]) == (12, 12, 0)
    for name, dimensions in (("acdc", 2), ("la", 3)):
        (ladder,) = content[name]["ladders"]
        paper, released = (m3hl.Options(**m3hl.preset(p, dimensions)) for p in ("paper", "released"))
        differing = {key for key in m3hl.Options.model_fields if getattr(paper, key) != getattr(released, key)}
        assert [rung.name for rung in ladder["rungs"]] == ["paper", *[""] * (len(ladder["rungs"]) - 2), "released"]
        assert {key for rung in ladder["rungs"] for key in rung.turned} == differing
        assert set(content[name]["differences"].data["option"]) == differing
    rows = [
        row
        for data in content.values()
        for part in (*data["loss_tables"], *data["grids"], *data["ladders"])
        for row in part["rows"]
    ]
    assert {run.run for row in rows for run in row.runs} == set(config.runs())


def test_runs_are_told_by_their_settings_not_by_their_names(content_of):
    choices = [losses for losses in product((True, False), repeat=3) if any(losses[1:])]
    config = small({f"m{n}": with_losses(*losses) for n, losses in enumerate(choices)}, labeled=3)
    (table,) = content_of(config)["d"]["loss_tables"]
    names = {losses: f"m{n}" for n, losses in enumerate(choices)}
    assert losses_of(table) == [(row.losses, True, names[row.losses]) for row in published.TABLE2[1:]]


def test_what_all_runs_have_in_common_is_named_and_does_not_hide_them(content_of):
    common = {"learning_rate": 0.02, "forward": "joint"}
    methods = {
        "a": {"options": common},
        "b": {"options": common | {"mix_loss": False}},
        "c": {"options": common | {"mask_ratio": 0.3}},
        "d": {"preset": "paper", "options": common | {"supervised_loss": True}},
        "e": {"preset": "paper", "options": common},
    }
    data = content_of(small(methods, kind="acdc", labeled=3))["d"]
    tables = {table["title"]: losses_of(table) for table in data["loss_tables"]}
    ending = "learning_rate 0.02; forward joint"
    assert tables == {
        f"d, 3 labeled patients, preset released; {ending}": [
            ((False, False, True), True, "b"),
            ((False, True, True), True, "a"),
        ],
        f"d, 3 labeled patients, preset paper; {ending}": [
            ((True, True, True), True, "d"),
            ((False, True, True), True, "e"),
        ],
    }
    assert [(ratio, patch) for ratio, patch, _ in data["grids"][0]["lines"]] == [
        ("30\u00a0%", "64"),
        ("50\u00a0%", "64"),
    ]
    assert data["ladders"][0]["title"] == f"d, 3 labeled patients, {ending}"
    assert [rung.line.row.method for rung in data["ladders"][0]["rungs"]] == ["e", "a"]
    assert [rung.name for rung in data["ladders"][0]["rungs"]] == ["paper", "released"]


def test_a_mask_without_a_size_is_a_quarter_of_the_crop(content_of):
    methods = {"left-out": {}, "small": {"options": {"mask_patch_size": 16}}}
    config = small(methods, kind="acdc", training={"crop": [128, 128]})
    (grid,) = content_of(config)["d"]["grids"]
    assert [(patch, line.row.method) for _, patch, line in grid["lines"]] == [("16", "small"), ("32", "left-out")]
    same = small({"left-out": {}, "said": {"options": {"mask_patch_size": 64}}}, kind="acdc")
    assert content_of(same) is None


def test_printed_numbers_stand_only_beside_real_atria_with_the_papers_labels(content_of):
    methods = {"all": with_losses(False, True, True), "hl": with_losses(False, False, True)}
    for labeled, source, compares in ((8, "public", True), (16, "public", False), (8, "phantom", False)):
        (table,) = content_of(small(methods, labeled=labeled, source=source))["d"]["loss_tables"]
        assert table["compares"] is compares
        assert len(table["lines"]) == (7 if compares else 2)
        assert {line.printed for line in table["lines"]} == (set(published.TABLE2) if compares else {None})
        assert bool(table["notes"]) is compares
        assert ("dice_printed" in table["table"].data) is compares


def test_a_row_that_the_study_lacks_and_a_run_that_has_not_ended_are_gaps(tmp_path):
    methods = {"all": with_losses(False, True, True), "hl": with_losses(False, False, True)}
    config = small(methods, seeds=(1, 2))
    write_made_up(tmp_path, config, dice=lambda run: None if run.method == "hl" or run.seed == 2 else 81.25)
    study = load_study(config, tmp_path)
    text = Page(render(study, gather(study))).text("ablation")
    assert text.count("not in this study") == 5
    assert "hl: 0 of 2 runs so far (training has not ended)" in text
    assert "all: 1 of 2 runs so far (training has not ended)" in text
    assert "91.01 81.25" in text
    assert "89.40 –" in text


def test_only_planned_cells_are_hatched(content_of):
    grid = [(p, r) for p, r in product(PATCHES, RATIOS) if (p, r) != (16, 0.75)]
    methods = {
        f"{p}-{r}": {"options": {"mask_patch_size": p, "mask_ratio": r}} for p, r in grid if (p, r) != (128, 0.25)
    }
    numbers = {"32-0.5": None, "64-0.25": 90.0}
    config = small(methods, kind="acdc", labeled=7)
    (found,) = content_of(config, dice=lambda run: numbers.get(run.method, 80.0))["d"]["grids"]
    assert (found["ended"], found["holes"]) == (9, 2)
    assert found["best"] == [("Dice", "64", "25\u00a0%"), ("ASD", "64", "25\u00a0%")]
    assert found["printed"] is True
    for _, _, convention, drawing in found["panels"]:
        assert convention is None  # nothing is missed, so the conventions agree
        assert len(re.findall(r"fill: url\(#[^)]*\)", drawing)) == 1
        assert len(re.findall(r">–<", drawing)) == 3


def test_distances_are_drawn_in_both_conventions_where_a_structure_is_missed(content_of):
    config = small({"a": {}, "b": {"options": {"mask_ratio": 0.3}}}, kind="acdc")
    (grid,) = content_of(config, dice=lambda run: 91.0, missed=["b"])["d"]["grids"]
    shown = {drawing.name: (convention, written(drawing)) for *_, convention, drawing in grid["panels"]}
    assert shown == {
        "ablation-mask-dice-d-8-released": (None, {"91.00", "45.50"}),
        "ablation-mask-asd-d-8-released": ("published", {"1.00", "0.50"}),
        "ablation-mask-asd-d-8-released-failures": ("failures", {"1.00"}),
    }


def test_a_grid_without_numbers_is_no_figure(content_of):
    methods = {"a": {}, "b": {"options": {"mask_ratio": 0.3}}}
    (grid,) = content_of(small(methods), dice=lambda run: None)["d"]["grids"]
    assert (grid["panels"], grid["best"], grid["ended"]) == ([], [], 0)


def test_nothing_to_show_is_no_section(content_of, make_config, whole):
    assert content_of(small({"a": {}, "s": {"method": "supervised"}})) is None
    assert ablation.content(load_study(make_config(), whole)) is None


def test_the_page_is_sound_and_names_its_files_once(tmp_path):
    config = planned_ablation(seeds=(1,))
    write_made_up(
        tmp_path, config, dice=lambda run: None if run.method == "sup-hl" else made_up_dice(run), rule="test"
    )
    study = load_study(config, tmp_path)
    contents = gather(study)
    page = Page(render(study, contents))
    assert len(page.ids) == len(set(page.ids))
    assert all("scope" in attributes for attributes in page.find("th"))
    assert len(page.find("caption")) == len(page.find("table"))
    plots = [attributes for attributes in page.find("svg") if attributes.get("class") == "plot"]
    assert [attributes.get("role") for attributes in plots] == ["img"] * 8
    names = [found.name for kind in (Table, Drawing) for found in collect(contents[ablation], kind)]
    assert len(names) == len(set(names)) == 9
    shown = page.text("ablation")
    for value in (f"{row.dice:.2f}" for row in published.TABLE2):
        assert value in shown
    assert "Step size of SGD at the first iteration." in shown
    assert "Rows with one seed have no spread" in shown
    (grid,) = contents[ablation]["datasets"][0]["grids"]
    assert all(drawing.count("†") == 12 for *_, drawing in grid["panels"])


def test_exported_numbers_are_those_of_the_runs(content_of):
    config = planned_ablation(seeds=(1, 2))
    content = content_of(config, dice=lambda run: 80.0 + run.seed)
    for kind, name in (("loss_tables", "la"), ("grids", "acdc"), ("ladders", "la")):
        data = content[name][kind][0]["table"].data
        assert data["dice_mean"].tolist() == pytest.approx([81.5] * len(data))
        assert data["dice_std"].tolist() == pytest.approx([0.5**0.5] * len(data))
    assert isnan(content["la"]["loss_tables"][0]["table"].data["dice_printed"].iloc[-1])
