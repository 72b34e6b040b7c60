"""The page, parsed: structure, numbers, gaps, marks, escapes, and that it needs no network."""

import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from m3hl.evaluation.summary import seed_table
from m3hl.reporting.page import gather, render
from m3hl.reporting.result_tables import results_table
from m3hl.reporting.study import load_study
from m3hl.reporting.tables import lines, table1_csv
from m3hl.reporting.text import number

VOID = {"meta", "link", "input", "img", "br"}
SVG_LEAVES = {"path", "rect", "use", "ellipse", "image"}


def page_of(study):
    return render(study, gather(study))


class Page(HTMLParser):
    """A parsed page: text by section, attributes of every element, and whether the tags are balanced."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.sections, self.ids = [], [], {}, []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in VOID:
            self.open.append((tag, attributes.get("id")))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1][0] in ("script", "style"):
            return
        section = next((name for tag, name in reversed(self.open) if tag == "section"), "")
        self.sections[section] = self.sections.get(section, "") + data

    def text(self, section):
        return " ".join(self.sections[section].split())

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(config, folder):
    return Page(page_of(load_study(config, folder)))


def test_has_every_section_and_fits_in_three_megabytes(whole, make_config):
    html = page_of(load_study(make_config(), whole))
    sections = [a["id"] for a in Page(html).find("section")]
    assert " ".join(sections) == "answer method results cases curves examples cost lineage provenance cautions"
    assert len(html.encode()) < 3e6


def test_needs_no_network(whole, make_config):
    html = page_of(load_study(make_config(), whole))
    parsed = Page(html)
    for tag, attributes in parsed.elements:
        for key in ("src", "href", "xlink:href", "data", "poster", "srcset"):
            if key in attributes and tag != "a":
                assert attributes[key].startswith(("data:", "#")), (tag, attributes)
    assert not any("src" in attributes for attributes in parsed.find("script"))
    assert not re.search(r"@import|url\((?!#)", html)


def test_is_accessible(whole, make_config):
    parsed = page(make_config(), whole)
    assert all(attributes.get("alt") for attributes in parsed.find("img"))
    assert all("aria-hidden" in a or a.get("role") == "img" for a in parsed.find("svg"))
    assert len(parsed.find("caption")) == len(parsed.find("table")) > 0
    assert all("scope" in attributes for attributes in parsed.find("th"))
    labels = {attributes["for"] for attributes in parsed.find("label")}
    assert {attributes["id"] for attributes in parsed.find("input")} == labels
    assert len(parsed.ids) == len(set(parsed.ids))
    targets = {a["href"][1:] for a in parsed.find("a") + parsed.find("use") if a["href"].startswith("#")}
    assert targets <= set(parsed.ids)


def test_shows_the_numbers_of_the_summary(whole, make_config):
    study = load_study(make_config(), whole)
    text = Page(page_of(study)).text("results")
    for record in seed_table(study.metrics, "published").to_dict("records"):
        assert f"{number(record['dice_mean'])} ± {number(record['dice_std'])}" in text
        assert f"{number(record['hd95_mean'])} ± {number(record['hd95_std'])}" in text
    assert "mm" in text


def test_answer_counts_seeds_and_calls_phantoms_synthetic(whole, make_config):
    text = page(make_config(), whole).text("answer")
    assert "On hearts with 3 labeled patients, M³HL reaches" in text
    assert "On atria with 3 labeled scans, M³HL reaches" in text
    assert text.count("2 seeds") == 2
    assert "The images are synthetic" in text
    assert "8 of 8 runs ended" in text


def test_is_the_same_page_every_time(whole, make_config):
    assert page_of(load_study(make_config(), whole)) == page_of(load_study(make_config(), whole))


def test_an_empty_folder_gives_a_page_of_gaps(tmp_path, make_config):
    parsed = page(make_config(), tmp_path)
    assert "There is no answer yet" in parsed.text("answer")
    assert "0 of 8 runs ended" in parsed.text("answer")
    assert parsed.text("results").count("not yet: training has not ended") == 4
    assert parsed.text("provenance").count("not yet: training has not ended") == 8
    assert "Not yet: 4 of 4 learning curves" in parsed.text("curves")
    assert "no run has been evaluated yet" in parsed.text("examples")


def test_a_missing_run_is_counted_and_named(results, make_config):
    config = make_config()
    first, second = config.runs()[:2]
    (results / first.path / "metrics.csv").unlink()
    text = page(config, results).text("results")
    assert "1 of 2 runs so far (evaluation has not ended)" in text
    (results / second.path / "run.json").unlink()
    (results / second.path / "metrics.csv").unlink()
    parsed = page(config, results)
    assert "not yet: evaluation has not ended; training has not ended" in parsed.text("results")
    assert "6 of 8 runs have ended" in parsed.text("answer")


DAMAGES = {
    "metrics.csv": ("metrics.csv: cannot read these metrics", [b"", b"\x00\xff{,", b"a,b\n1,2\n"]),
    "history.csv": (
        "history.csv: cannot read this learning curve",
        [b"", b"\x00\xff{,", b"iteration,loss\n1,x\n"],
    ),
    "run.json": ("run.json: ", [b"", b"\xff", b"[]", b'{"selection": null}', b'{"provenance": {"threads": "x"}}']),
    "evaluation.json": ("evaluation.json: ", [b"{", b'{"provenance": {"seconds": "long"}}']),
    "predictions.h5": ("predictions.h5: no readable label map", [b"", b"no HDF5"]),
}


@pytest.mark.parametrize(("name", "damage"), [(name, d) for name, (_, all_) in DAMAGES.items() for d in all_])
def test_damaged_files_are_gaps_not_crashes(results, make_config, name, damage):
    block = {"dataset": ["hearts"], "method": ["m3hl"], "labeled": [3], "seed": [1]}
    config = make_config(experiments=[block])
    (run,) = config.runs()
    (results / run.path / name).write_bytes(damage)
    parsed = page(config, results)
    section = "examples" if name == "predictions.h5" else "provenance"
    assert DAMAGES[name][0] in parsed.text(section)
    assert str(results) not in "".join(parsed.sections.values())


def test_a_damaged_store_costs_only_the_examples(results, make_config):
    (results / "data" / "hearts.h5").write_bytes(b"no HDF5")
    text = page(make_config(), results).text("examples")
    assert "no whole HDF5 file" in text
    assert text.count("Best") == 2  # "Best, median and worst" and one row: atria's


def test_test_selected_runs_are_marked_wherever_they_show(results, make_config, finish_run):
    config = make_config()
    assert not page(config, results).find("abbr")
    for run in config.runs():
        if run.dataset == "atria":
            finish_run(results, config, run, rule="test")
    parsed = page(config, results)
    assert re.search(r"On atria .*? %†.*?†.*? %†.*?†", parsed.text("answer"))
    assert "†" not in parsed.text("answer").partition("On atria")[0]
    assert parsed.text("results").count("†") == 2 * 4 * 2 + 2 + 1  # rows × metrics × conventions, dots, note
    assert "Test Dice†" in parsed.text("curves")
    assert "†" in parsed.text("examples")
    assert "weights of 4 runs" in parsed.text("cautions")


def test_another_network_than_the_student_is_named_in_every_table(results, make_config):
    config = make_config()
    assert "small print" not in page(config, results).text("results")
    for run in config.runs():
        path = results / run.path / "run.json"
        record = json.loads(path.read_text())
        record["selection"]["network"] = "teachers" if run.method == "m3hl" else "student"
        path.write_text(json.dumps(record))
    study = load_study(config, results)
    text = Page(page_of(study)).text("results")
    assert text.count("M³HL teachers") == 2 + 3  # a row of each data set, and one of each structure of hearts
    assert text.count("In small print beside a method: the network that was evaluated") == 2
    table = pd.read_csv(io.StringIO(table1_csv(study)))
    assert (table["network"] == np.where(table["method"] == "m3hl", "teachers", "student")).all()
    for name in study.datasets:
        exported = results_table(study, name, lines(study, name), ())
        assert set(exported.data["network"]) == {"teachers", "student"}
        assert set(exported.shown["Method"]) == {"M³HL (teachers)", "Supervised"}


def test_a_further_network_is_named_below_the_table_with_its_mean_over_seeds(results, make_config):
    config = make_config()
    runs = [run for run in config.runs() if (run.dataset, run.method) == ("hearts", "m3hl")]
    for run, dice in zip(runs, (60.0, 62.0), strict=True):
        path = results / run.path / "evaluation.json"
        others = {"network_2": {"dice": dice, "selection": {"rule": "val"}}}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"others": others}))
    text = page(config, results).text("results")
    assert text.count("at the best of its own validations") == 1
    assert "its network 2, at the best of its own validations, has a Dice of 61.0 ± 1.4." in text


def test_pseudo_labels_have_a_panel_that_says_what_their_truth_is_for(results, make_config):
    config = make_config()
    text = page(config, results).text("curves")
    assert text.count("truth of unlabeled cases is used for this diagnosis only") == 1
    for run in config.runs():
        path = results / run.path / "history.csv"
        history = pd.read_csv(path)
        history.drop(columns=history.filter(like="pseudo_")).to_csv(path, index=False)
    assert "seudo-label" not in page(config, results).text("curves")


def test_every_network_and_what_is_logged_beside_the_loss_are_named(results, make_config, finish_run):
    config = make_config(
        methods={"cutmix": {"method": "cutmix"}, "cps": {"method": "cps"}},
        experiments=[{"dataset": ["hearts"], "method": ["cutmix", "cps"], "labeled": [3], "seed": [1]}],
    )
    names = {"cutmix": ("student", "teacher"), "cps": ("network_1", "network_2")}
    parts = {"cutmix": ["consistency", "confident"], "cps": ["cross_1"]}
    for run in config.runs():
        finish_run(results, config, run)
        path = results / run.path / "history.csv"
        columns = [f"val_{name}_dice" for name in names[run.method]] + [*parts[run.method], "weight"]
        history = pd.read_csv(path).drop(columns="val_student_dice")
        history.assign(stage=2, **dict.fromkeys(columns, 0.5)).to_csv(path, index=False)
    text = page(config, results).text("curves")
    assert "student, network 1 teacher, network 2" in text
    assert re.search(r"Parts of the loss, CutMix consistency(?! confident)", text)
    assert re.search(r"Parts of the loss, CPS cross_1(?! weight)", text)
    assert "Beside the loss, CutMix κ, share of confident voxels weight of the consistency" in text
    assert "Beside the loss, CPS weight of the cross terms" in text
    assert "stage" not in text


def test_where_a_stage_begins_is_a_dotted_line_that_the_page_explains(results, make_config):
    config = make_config()
    explained = "A dotted upright line is where the next stage of a method's runs begins"
    assert explained not in page(config, results).text("curves")
    path = results / config.runs()[0].path / "history.csv"
    history = pd.read_csv(path)
    assert len(history) > 1
    history.insert(1, "stage", [1] + [2] * (len(history) - 1))
    history.to_csv(path, index=False)
    assert page(config, results).text("curves").count(explained) == 1


def test_names_from_files_are_escaped(results, make_config):
    config, nasty = make_config(), "<script>alert(1)</script>"
    path = results / config.runs()[0].path
    record = json.loads((path / "run.json").read_text())
    record["labeled_groups"] = [nasty]
    record["provenance"] |= {"host": nasty, "device": nasty, "commit": nasty}
    (path / "run.json").write_text(json.dumps(record))
    metrics = (path / "metrics.csv").read_text().replace("case0", nasty)
    (path / "metrics.csv").write_text(metrics)
    html = page_of(load_study(config, results))
    assert nasty not in html
    assert html.count("&lt;script&gt;") >= 3


def test_a_study_of_300_runs_stays_below_15_megabytes(whole, make_config, tmp_path):
    config = make_config(
        experiments=[
            {
                "dataset": ["hearts", "atria"],
                "method": ["supervised", "m3hl"],
                "labeled": [3, 7, 14],
                "seed": list(range(25)),
            }
        ]
    )
    shutil.copytree(whole / "data", tmp_path / "data")
    for run in config.runs():
        shutil.copytree(whole / "runs" / run.dataset / run.method / "labeled-3" / "seed-1", tmp_path / run.path)
    study = load_study(config, tmp_path)
    assert len(study.results) == 300
    assert len(page_of(study).encode()) < 15e6
