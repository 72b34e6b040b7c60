"""`m3hl doctor`: what is there, what is missing, and whether that matters."""

import re
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from m3hl import doctor
from m3hl.doctor import Finding, examine


def finding(name):
    return next(found for found in examine() if found.what == name)


def test_everything_is_looked_at_once():
    names = [found.what for found in examine()]
    assert names == [
        "Python", *doctor.NEEDED, "snakemake", "GPU", "Apptainer", "SLURM", "git", "Memory", "Disk", "Workflow"
    ]  # fmt: skip
    assert all(found.found for found in examine())


def test_this_machine_can_run_the_pipeline(program, monkeypatch):
    monkeypatch.chdir(Path(doctor.__file__).parents[1])
    code, out, _ = program("doctor")
    assert code == 0
    assert "✗" not in out
    assert len(out.splitlines()) == len(examine())
    assert re.search(rf"✓ torch +{re.escape(torch.__version__)}\n", out)
    assert re.search(r"✓ Workflow +workflow/Snakefile is here\n", out)


def test_a_missing_library_is_needed(program, monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "h5py" else "1.0")
    code, out, _ = program("doctor")
    assert code == 1
    assert re.search(r"✗ h5py +not installed  → run make setup, or pip install", out)
    assert out.count("✗") == 1


def test_an_old_python_is_needed_to_be_newer(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert finding("Python").needed
    assert "install Python 3.11 or newer" in finding("Python").advice


@pytest.mark.parametrize("name", ["Apptainer", "SLURM", "git"])
def test_a_missing_program_is_not_needed(monkeypatch, name):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = finding(name)
    assert (found.mark, found.found) == ("○", "not found")
    assert found.advice.startswith("needed ")


def test_a_program_tells_its_version(monkeypatch, tmp_path):
    program = tmp_path / "singularity"
    program.write_text("#!/bin/sh\necho singularity-ce version 4.1\necho more\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program) if name == "singularity" else None)
    assert finding("Apptainer") == Finding("Apptainer", "singularity-ce version 4.1")


def test_a_program_that_cannot_be_started_is_named(tmp_path):
    (tmp_path / "broken").write_text("x")
    assert doctor.version_line(str(tmp_path / "broken")) == f"{tmp_path / 'broken'} does not answer"


@pytest.mark.parametrize(("available", "built"), [(True, "12.8"), (False, "12.8"), (False, None)])
def test_the_gpu(monkeypatch, available, built):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(torch.version, "cuda", built)
    found = finding("GPU")
    assert not found.needed
    if available:
        assert (found.found, found.mark) == ("H100, CUDA 12.8", "✓")
    else:
        assert ("CUDA 12.8" in found.found, found.mark) == (built is not None, "○")


def test_little_memory_and_disk_are_mentioned(monkeypatch):
    usage = namedtuple("usage", "total used free")
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}
    monkeypatch.setattr(doctor.os, "sysconf", sizes.get)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 2**30))
    assert finding("Memory").found.startswith("1 GiB, ")
    assert "the demo wants 4 GiB" in finding("Memory").advice
    assert finding("Disk") == Finding(
        "Disk", "1 GiB free here", "the demo wants 5 GiB; make room, or work elsewhere"
    )


def test_elsewhere_the_workflow_is_not_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert finding("Workflow").mark == "○"


@pytest.mark.parametrize(
    ("arguments", "mark"), [(("x", "1"), "✓"), (("x", "1", "do"), "○"), (("x", "1", "do", True), "✗")]
)
def test_marks(arguments, mark):
    assert Finding(*arguments).mark == mark
