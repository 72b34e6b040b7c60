"""docs/own-method.md as it stands: its code blocks are run, and are what `m3hl new` writes."""

import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from m3hl.cli import cli
from m3hl.config.experiment import load_config
from m3hl.errors import UserError
from m3hl.methods import build
from m3hl.testing.skeleton import write_skeleton
from tests.test_docs import BLOCK, ROOT

PAGE = (ROOT / "docs" / "own-method.md").read_text(encoding="utf-8")
CODE = dict(reversed(BLOCK.findall(PAGE)))
"""The first block of each language."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a folder with what the page says that it holds."""
    monkeypatch.chdir(tmp_path)
    write_skeleton("my_method", tmp_path)
    (tmp_path / "study.yaml").write_text(CODE["yaml"])
    return tmp_path


def test_the_page_shows_what_is_written(here):
    assert (here / "my_method.py").read_text() == CODE["python"]


def test_it_takes_at_most_sixty_lines():
    assert sum(CODE[language].count("\n") for language in ("python", "yaml", "sh")) <= 65
    assert len([line for language in ("python", "yaml") for line in CODE[language].splitlines() if line]) <= 60


def test_the_configuration_trains_the_method(here):
    study = load_config("study.yaml")
    run = next(run for run in study.runs() if run.method == "mine")
    assert (
        build(study.settings(run)).options.weight
        == yaml.safe_load(CODE["yaml"])["methods"]["mine"]["options"]["weight"]
    )


def test_the_command_writes_both_files_and_overwrites_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new", "method", "doubt"], catch_exceptions=False)
    assert "method: ./doubt.py" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"doubt.py", "test_doubt.py"}
    for name, said in (("doubt", "this file is there already"), ("Not-a-name", "use small letters")):
        with pytest.raises(UserError, match=said):
            write_skeleton(name, tmp_path)


@pytest.mark.slow
def test_the_test_that_is_written_passes(here):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_method.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_pipeline_gives_it_a_row(here):
    snakefile = ROOT / "workflow" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--cores", "2"]
    done = subprocess.run([*command, "--configfile", "study.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mine" in (here / "results" / "mine" / "table1.csv").read_text()
