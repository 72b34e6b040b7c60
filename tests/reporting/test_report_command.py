"""`m3hl report`, run as a user does."""

import subprocess
import sys

import pytest


def report(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "m3hl", "report", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_writes_the_page_and_the_table(results, make_config):
    config = make_config().model_dump_json(exclude_defaults=True)
    done = report("--results", results, "--config", config, "--out", results / "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert (results / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (results / "table1.csv").read_text(encoding="utf-8").startswith("dataset,method,labeled,convention")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [("absent", None, "no such results folder"), ("", "name: x\ndatasets: {d: {kind: nothing}}", "datasets.d")],
)
def test_a_mistake_is_one_line(tmp_path, make_config, name, text, problem):
    config = text or make_config().model_dump_json(exclude_defaults=True)
    done = report("--results", tmp_path / name, "--config", config)
    assert done.returncode == 1
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "report.html").exists()


def test_exports_of_an_earlier_report_go_and_other_files_stay(results, make_config, tmp_path):
    page = tmp_path / "out" / "report.html"
    (page.parent / "figures").mkdir(parents=True)
    (page.parent / "figures" / "mine.svg").touch()
    done = report(
        "--results", results, "--config", make_config().model_dump_json(exclude_defaults=True), "--out", page
    )
    assert (done.returncode, done.stderr) == (0, "")
    first = {path.name for path in (page.parent / "tables").iterdir()}
    only = make_config(
        experiments=[{"dataset": ["hearts"], "method": ["supervised", "m3hl"], "labeled": [3], "seed": [1, 2]}]
    )
    done = report("--results", results, "--config", only.model_dump_json(exclude_defaults=True), "--out", page)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (page.parent / "tables").iterdir()} == {
        name for name in first if "atria" not in name
    }
    assert (page.parent / "figures" / "mine.svg").is_file()
