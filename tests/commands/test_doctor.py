"""`m3hl doctor`: what is there, what is missing, and whether that matters."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from m3hl.doctor import examine, hardware, software
from m3hl.doctor.finding import Finding

ROOT = Path(__file__).parents[2]
MACHINE = "GPU Apptainer SLURM git Image Memory Disk Workflow".split()  # noqa: SIM905


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    """Look from the project's folder, and not at the cluster or the limits of whoever runs the tests."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(hardware, "limits", list)
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "sinfo" else found(name))


def finding(name):
    return next(found for found in examine() if found.what == name)


def test_everything_is_looked_at_once():
    data = ["phantom-2d (demo)", "phantom-3d (demo)", "acdc (paper)", "la (paper)", "la-by-test (paper)"]
    names = ["Python", *software.NEEDED, "snakemake", *MACHINE, *(f"Data: {name}" for name in data)]
    assert [found.what for found in examine()] == names
    assert all(found.found for found in examine())


def test_this_machine_can_run_the_pipeline(program):
    code, out, _ = program("doctor")
    assert code == 0
    assert "✗" not in out
    assert len(out.splitlines()) == len(examine())
    assert re.search(rf"✓ torch +{re.escape(torch.__version__)}\n", out)
    assert re.search(r"✓ Workflow +workflow/Snakefile is here\n", out)


def test_as_json_it_is_an_object_per_finding(program):
    code, out, _ = program("doctor", "--json")
    assert code == 0
    found = [Finding(**json.loads(line)) for line in out.splitlines()]
    # How much of the disk is free changes while one looks.
    assert [one for one in found if one.what != "Disk"] == [one for one in examine() if one.what != "Disk"]


def test_a_terminal_that_cannot_show_the_marks_gets_their_numbers():
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "m3hl", "doctor"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0
    assert done.stdout.startswith("\\u2713 Python")


def test_without_libraries_it_still_says_which_are_missing():
    code = "import sys; sys.modules['pydantic'] = None; from m3hl.doctor import examine; print(examine()[-1])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert "what='Data', found='unknown without pydantic'" in done.stdout


def test_a_missing_library_is_needed(program, monkeypatch):
    monkeypatch.setattr(software, "installed", lambda name: None if name == "h5py" else "1.0")
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
    assert software.version_line(str(tmp_path / "broken")) == f"{tmp_path / 'broken'} does not answer"


@pytest.fixture
def graphics(monkeypatch):
    """Return a function that looks for a GPU where there are so many, a build of torch, and a driver or none."""

    def give(count, built, *, driver):
        card = SimpleNamespace(name="H100", total_memory=80 * 2**30)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(shutil, "which", lambda name: "smi" if driver and name == "nvidia-smi" else None)
        return hardware.gpu()

    return give


def test_gpus_are_told_with_their_memory(graphics):
    assert graphics(1, "12.8", driver=True) == Finding("GPU", "H100, 80 GiB, CUDA 12.8")
    assert graphics(2, "12.8", driver=True) == Finding("GPU", "H100, 80 GiB and 1 more, CUDA 12.8")


@pytest.mark.parametrize(
    ("built", "driver", "said"),
    [
        ("12.8", True, "see what nvidia-smi says"),
        ("12.8", False, "without NVIDIA's driver everything runs on the CPU"),
        (None, True, "install the CUDA build"),
        (None, False, "install the CUDA build"),
    ],
)
def test_without_a_gpu_the_next_step_depends_on_torch_and_driver(graphics, built, driver, said):
    found = graphics(0, built, driver=driver)
    assert (found.mark, said in found.advice) == ("○", True)
    assert ("though there is NVIDIA's driver" in found.found) == (built is None and driver)


def test_a_configuration_that_asks_for_a_gpu_needs_one(graphics):
    graphics(0, None, driver=False)
    found = next(each for each in examine("config/paper.yaml") if each.what == "GPU")
    assert found.needed
    assert found.advice.endswith("or set device: auto")


def test_little_memory_and_disk_are_mentioned(monkeypatch):
    usage = namedtuple("usage", "total used free")
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}
    monkeypatch.setattr(hardware.os, "sysconf", sizes.get)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 2**30))
    assert finding("Memory").found.startswith("1 GiB, ")
    assert "the demo wants 4 GiB" in finding("Memory").advice
    assert finding("Disk") == Finding(
        "Disk", f"1 GiB free in {ROOT}", "the demo wants 5 GiB; make room, or work elsewhere"
    )


def test_elsewhere_the_workflow_is_not_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert finding("Workflow").mark == "○"


@pytest.mark.parametrize(
    ("arguments", "mark"), [(("x", "1"), "✓"), (("x", "1", "do"), "○"), (("x", "1", "do", True), "✗")]
)
def test_marks(arguments, mark):
    assert Finding(*arguments).mark == mark


def test_the_memory_of_a_job_or_container_counts(monkeypatch, tmp_path):
    monkeypatch.undo()
    for path, text in {"": "max", "job": str(3 * 2**30), "job/step": "max"}.items():
        (tmp_path / path).mkdir(exist_ok=True)
        (tmp_path / path / "memory.max").write_text(f"{text}\n")
    (tmp_path / "own").write_text("0::/job/step\n")
    monkeypatch.setattr(hardware, "CGROUPS", tmp_path)
    monkeypatch.setattr(hardware, "OWN_CGROUP", tmp_path / "own")
    assert hardware.limits() == [3 * 2**30]
    assert re.match(r"3 of \d+ GiB, ", hardware.memory().found)
    assert hardware.memory().mark == "○"
    (tmp_path / "own").unlink()
    assert hardware.limits() == []


def test_a_cluster_tells_its_partitions(monkeypatch, tmp_path):
    program = tmp_path / "sinfo"
    program.write_text("#!/bin/sh\nprintf 'cpu* (null)\\ngpu gpu:h100:4\\ngpu gpu:h100:4\\n'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program) if name == "sinfo" else None)
    assert finding("Partitions").found.startswith("cpu*, gpu gpu:h100:4 (")
    program.write_text("#!/bin/sh\nexit 0\n")
    assert finding("Partitions").advice == "start from a login node of the cluster"


def test_the_image_is_there_or_is_to_be_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert finding("Image").advice.endswith("make image")
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers/m3hl.sif").write_bytes(b"x")
    assert finding("Image").mark == "✓"
