"""docs/own-network.md as it stands: its code is a network that our methods train."""

import pytest

from m3hl.config.experiment import load_config
from m3hl.testing.checks import check_all, check_runs
from tests.small_runs import SMALL
from tests.test_docs import BLOCK, ROOT

CODE = dict(reversed(BLOCK.findall((ROOT / "docs" / "own-network.md").read_text(encoding="utf-8"))))
"""The first block of each language."""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Work in a folder with what the page says that it holds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.py").write_text(CODE["python"])
    (tmp_path / "study.yaml").write_text(CODE["yaml"])


def test_its_configuration_names_the_network():
    study = load_config("study.yaml")
    assert {study.settings(run).network for run in study.runs()} == {None, "./my_net.py"}


def test_it_is_held_to_what_ours_are():
    check_all("mean-teacher", 2, SMALL["mean-teacher"], "./my_net.py")


def test_it_is_for_volumes_too():
    check_runs("supervised", 3, None, "./my_net.py", iterations=2)
