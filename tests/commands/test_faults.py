"""What a machine does to a stage: a kill, a full disk, a foreign folder, no memory, two at once, a wrong clock."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from m3hl.cli import main
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.files.lock import alone

STAGES = ("download", "preprocess", "train", "evaluate", "report", "predict")
MEMORY = 2**29
"""Bytes that a training may take beyond what the program itself has."""


def command(stage, study, folder):
    """Return the arguments of a stage that reads a finished study and writes into a folder."""
    image = next(path for path in sorted(study.raw.rglob("*.nii.gz")) if "_gt" not in path.name)
    runs = [{"dataset": ["d"], "method": ["m3hl"], "labeled": [2], "seed": [1]}]
    report = [
        "--config",
        study.config("experiments", runs),
        "--results",
        study.run.parent,
        "--out",
        folder / "report.html",
    ]
    arguments = {
        "download": study("download", out=folder / "d.json"),
        "preprocess": study("preprocess", out=folder / "d.h5"),
        "train": study("train", out=folder, threads=1),
        "evaluate": study("evaluate", run=folder, threads=1),
        "report": ["report", *report],
        "predict": ["predict", "--weights", study.run / "best.pt", "--out", folder, image],
    }
    return [str(argument) for argument in arguments[stage]]


def prepare(stage, study, folder):
    """Put what a stage expects in its folder there."""
    folder.mkdir(exist_ok=True)
    for name in ("best.pt", "run.json") if stage == "evaluate" else ():
        shutil.copyfile(study.run / name, folder / name)


def made(folder):
    """Return the digest of each file of results, by its path; records tell when, and differ each time."""
    records = {".provenance", ".json", ".html"}
    return {
        path.relative_to(folder): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in records and "work" not in path.parts
    }


def leftovers(folder):
    """Return temporary files."""
    return [path.name for path in folder.rglob(".*.part*")]


@pytest.fixture(scope="module")
def run(forkserver, tmp_path_factory):
    """Return a function that runs a command line in a process of its own: exit code, and what it said."""
    said = tmp_path_factory.mktemp("run") / "said"

    def run(arguments):
        process = forkserver.Process(target=start_aloud, args=(arguments, said))
        process.start()
        process.join()
        return process.exitcode, said.read_text()

    return run


def start_aloud(arguments, said):
    """Run a command line in this process, which says everything into a file."""
    with said.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    start(arguments)


@pytest.fixture(scope="module")
def whole(hearts, run, tmp_path_factory):
    """Return a function that gives the folder of a stage that ran undisturbed."""
    folders = {}

    def folder(stage):
        if stage not in folders:
            folders[stage] = tmp_path_factory.mktemp(stage) / "whole"
            prepare(stage, hearts, folders[stage])
            code, said = run(command(stage, hearts, folders[stage]))
            assert code == 0, said
        return folders[stage]

    return folder


@pytest.fixture
def disk(tmp_path):
    """Return a function that mounts a disk of some bytes, or changes how the mounted one is."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        again = ["remount"] if folder.is_mount() else []
        words = ["mount", "-t", "tmpfs", "-o", ",".join([*again, options]), "tmpfs", folder]
        if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode:
            pytest.skip("a file system can only be mounted by root")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(whole, hearts, run, disk, stage):
    expected = made(whole(stage))
    folder = disk("size=64m")
    prepare(stage, hearts, folder)
    (folder / "filler.json").write_bytes(bytes(4096))
    used = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
    largest = max((whole(stage) / name).stat().st_size for name in expected if not (folder / name).exists())
    disk(f"size={used + largest // 2 // 4096 * 4096}")
    code, said = run(command(stage, hearts, folder))
    assert code == 1, said
    assert "Traceback" not in said
    assert "cannot" in said.splitlines()[-1]
    assert "space" in said.splitlines()[-1]
    assert made(folder).items() <= expected.items()
    assert leftovers(folder) == []
    disk("size=64m")
    assert run(command(stage, hearts, folder))[0] == 0
    assert made(folder) == expected


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_that_cannot_be_written(hearts, run, disk, stage):
    folder = disk("size=64m")
    prepare(stage, hearts, folder)
    disk("ro")
    code, said = run(command(stage, hearts, folder))
    assert code == 1
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"m3hl: error: {folder}")
    assert re.search("cannot (write into this|create the) folder", said.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "train"])
def test_a_kill(forkserver, whole, hearts, run, tmp_path, stage):
    expected = made(whole(stage))
    for moment in count():
        folder = tmp_path / str(moment)
        prepare(stage, hearts, folder)
        process = forkserver.Process(target=start, args=(command(stage, hearts, folder),))
        process.start()
        wait_for_files(folder, len(list(folder.rglob("*"))) + 1 + 2 * moment, process)
        process.kill()
        process.join()
        assert {path.name for path in made(folder).keys() - expected.keys()} <= set(leftovers(folder))
        assert all(made(folder).get(name, digest) == digest for name, digest in expected.items())
        assert run(command(stage, hearts, folder))[0] == 0
        assert made(folder) == expected
        assert leftovers(folder) == []
        if process.exitcode != -signal.SIGKILL or moment == 2:
            break


def start(arguments):
    """Run a command line in this process."""
    sys.argv = ["m3hl", *arguments]
    main()


def wait_for_files(folder, number, process):
    """Wait until a folder holds so many files, or the process that makes them has ended."""
    while len(list(folder.rglob("*"))) < number and process.is_alive():
        time.sleep(0.0005)


@pytest.mark.slow
def test_no_memory(forkserver, hearts, tmp_path):
    huge = hearts.values["datasets"]["d"]["training"] | {"crop": [2048, 2048], "channels": 64}
    arguments = hearts("train", config=hearts.config("datasets.d.training", huge), out=tmp_path, threads=1)
    said = tmp_path / "said"
    process = forkserver.Process(target=start_with_little_memory, args=(["--log", str(said), *arguments],))
    process.start()
    process.join()
    assert process.exitcode == 1
    last = said.read_text().splitlines()[-1]
    assert last.startswith("m3hl: error: the memory does not suffice (")
    assert "labeled_batch" in last
    assert "--precision bf16" in last


def start_with_little_memory(arguments):
    """Run a command line in this process, which may not take much more memory than it has."""
    import m3hl.training.loop  # noqa: F401

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    start(arguments)


def test_two_processes_on_one_run(m3hl, hearts, tmp_path):
    with alone(tmp_path / "work"):
        line = m3hl(*hearts("train", out=tmp_path))
    assert line == f"{tmp_path}/work: process {os.getpid()} on {os.uname().nodename} works on this run; " + (
        "wait until it ends, or stop it"
    )
    assert m3hl(*hearts("train", out=tmp_path)) is None
    assert Path("best.pt") in made(tmp_path)


def test_a_process_that_was_killed_holds_nothing(forkserver, tmp_path):
    ready = tmp_path / "ready"
    process = forkserver.Process(target=hold, args=(tmp_path, ready))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    with pytest.raises(UserError, match=f"process {process.pid} on "), alone(tmp_path):
        pass
    process.kill()
    process.join()
    with alone(tmp_path):
        pass


def hold(folder, ready):
    """Hold a folder until a kill."""
    with alone(folder):
        ready.touch()
        time.sleep(60)


def test_a_clock_that_jumps(m3hl, whole, hearts, tmp_path, monkeypatch):
    jumps = count()
    monkeypatch.setattr(time, "time", lambda: 1e9 + (-1) ** next(jumps) * 1e8)
    assert m3hl(*command("train", hearts, tmp_path)) is None
    assert made(tmp_path) == made(whole("train"))
