"""`m3hl run` and `m3hl demo`: what they call, in a clone and where the package is installed."""

import sys
from pathlib import Path

import pytest

from m3hl.errors import UserError
from m3hl.orchestration import snakemake
from m3hl.provenance.fingerprint import ROOT

CLONE = str(ROOT.parent / "workflow" / "Snakefile")


def test_the_workflow_of_the_clone_is_called_on_all_cores():
    called = [sys.executable, "-m", "snakemake", "--snakefile", CLONE, "--cores", "all"]
    assert snakemake.command(Path("x.yaml"), ["--dry-run"]) == [*called, "--configfile", "x.yaml", "--dry-run"]
    assert snakemake.command(None, []) == called


@pytest.mark.parametrize("said", [["-c", "1"], ["--cores=2"], ["-j", "3"], ["--workflow-profile", "mine"]])
def test_who_says_how_many_cores_is_obeyed(said):
    assert "all" not in snakemake.command(None, said)


def test_an_installed_package_finds_the_workflow_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(snakemake, "ROOT", tmp_path / "m3hl")
    with pytest.raises(UserError, match="the workflow is not here"):
        snakemake.project()
    (tmp_path / "m3hl_workflow" / "workflow").mkdir(parents=True)
    (tmp_path / "m3hl_workflow" / "workflow" / "Snakefile").touch()
    assert snakemake.project() == tmp_path / "m3hl_workflow"


def test_without_snakemake_or_configuration_one_line_says_so(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"none\.yaml: there is no such configuration"):
        snakemake.run(tmp_path / "none.yaml", [])
    monkeypatch.setattr(snakemake.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"snakemake is not installed; pip install 'm3hl\[workflow\]'"):
        snakemake.command(None, [])
