"""`m3hl train`: what it writes, that a killed run ends as if it had not been, and each mistake in one line."""

import csv
import json
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from m3hl import __version__
from m3hl.config import methods
from m3hl.files.digests import sha256_file
from m3hl.inference.weights import Weights


def read_history(study):
    with (study.run / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_weights_history_and_record_are_written(study):
    names = {path.name for path in study.run.iterdir()}
    assert {"best.pt", "history.csv", "run.json"} <= names
    # Checkpoints are gone, TensorBoard's curves stay.
    (folder,) = (study.run / "work").iterdir()
    assert [path.name for path in folder.iterdir()] == ["tensorboard"]


def test_the_weights_are_of_the_run(study):
    weights = Weights.load(study.run / "best.pt")
    record = json.loads((study.run / "run.json").read_text())
    assert weights.settings.model_dump(mode="json") == record["settings"]
    assert weights.selection == record["selection"]
    assert weights.dataset.kind == study.values["datasets"]["d"]["kind"]
    parameters = sum(p.numel() for p in weights.network.parameters())
    assert parameters == record["counts"]["parameters"]


COLUMNS = ["iteration", "learning_rate", "loss", "mix", "low", "high"]
PSEUDO = ["pseudo_student_dice", "pseudo_teacher_dice"]


def test_the_history_of_2d_has_validation_dice(hearts):
    rows = read_history(hearts)
    assert list(rows[0]) == [*COLUMNS, "val_student_dice", "val_teacher_dice", *PSEUDO]
    assert [int(row["iteration"]) for row in rows] == list(range(1, 11))
    assert [int(row["iteration"]) for row in rows if row["val_student_dice"]] == [5, 10]
    assert {row["learning_rate"] for row in rows} == {"0.01"}


def test_without_validation_scans_the_history_has_no_validation_dice(atria):
    rows = read_history(atria)
    assert list(rows[0]) == [*COLUMNS, *PSEUDO]
    assert [int(row["iteration"]) for row in rows] == [1, 2, 3]


def test_the_record_of_2d(hearts):
    record = json.loads((hearts.run / "run.json").read_text())
    assert list(record) == [
        "experiment", "dataset", "method", "labeled", "seed", "settings", "selection", "labeled_groups", "counts",
        "images_in", "iterations", "seconds", "resumed_at", "processes", "provenance", "seal", "sha256",
    ]  # fmt: skip
    assert [record[key] for key in ("experiment", "dataset", "method", "labeled", "seed")] == [
        "tiny", "d", "m3hl", 2, 1,
    ]  # fmt: skip
    assert record["settings"]["preset"] == "released"
    assert record["settings"]["options"]["mask_keeps"] == ["unlabeled", "labeled"]
    assert record["labeled_groups"] == ["patient001", "patient002"]
    assert (record["counts"]["labeled_cases"], record["counts"]["unlabeled_cases"]) == (4, 2)
    assert record["selection"]["rule"] == "val"
    dice = {int(row["iteration"]): row["val_student_dice"] for row in read_history(hearts)}
    assert record["selection"]["dice"] == float(dice[record["selection"]["iteration"]])
    assert record["provenance"]["m3hl"] == __version__
    assert record["provenance"]["store_sha256"] == sha256_file(hearts.store)
    assert record["seconds"] > 0
    assert record["resumed_at"] == []


def test_the_record_of_3d(atria):
    record = json.loads((atria.run / "run.json").read_text())
    assert record["labeled_groups"] == ["atrium001"]
    assert record["counts"]["labeled_samples"] == record["counts"]["unlabeled_samples"] == 1
    assert record["selection"] == {"network": "student", "rule": "last", "iteration": 3, "dice": None}


def test_the_same_command_gives_the_same_files(m3hl, hearts, tmp_path):
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        assert m3hl(*hearts("train", out=folder)) is None
    for name in ("best.pt", "history.csv"):
        ours, theirs = ((folder / name).read_bytes() for folder in folders)
        assert ours == theirs, name
    ours, theirs = (json.loads((folder / "run.json").read_text()) for folder in folders)
    for changing in ("seconds", "provenance", "sha256"):
        del ours[changing], theirs[changing]
    assert ours == theirs


def test_all_is_a_labeled_count_and_checkpoints_go_where_they_shall(m3hl, hearts, tmp_path):
    arguments = hearts("train", out=tmp_path / "out", work=tmp_path / "work", labeled="all", method="supervised")
    assert m3hl(*arguments) is None
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["labeled"], record["settings"]["labeled"]) == ("all", "all")
    assert record["labeled_groups"] == ["patient001", "patient002", "patient003"]
    assert len(list((tmp_path / "work").glob("*/tensorboard"))) == 1
    assert not (tmp_path / "out" / "work").exists()


def test_a_killed_run_ends_with_the_same_bits(m3hl, hearts, tmp_path):
    config = hearts.config("datasets.d.training.iterations", 60)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    arguments = hearts("train", config=config, out=killed, threads=1)
    with subprocess.Popen([sys.executable, "-m", "m3hl", *arguments], stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(killed.glob("work/*/last.pt")):
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in killed.iterdir()] == ["work"]

    assert m3hl(*arguments) is None
    assert m3hl(*hearts("train", config=config, out=whole, threads=1)) is None
    for name in ("best.pt", "history.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
def test_two_processes_that_are_interrupted_end_with_the_same_bits(hearts, tmp_path):
    config = hearts.config("datasets.d.training", hearts.values["datasets"]["d"]["training"] | {"iterations": 60})
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "m3hl"]

    def start(folder):
        command = [*launch, *hearts("train", config=config, out=folder, threads=1)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait(300) == 0
    process = start(tmp_path / "stopped")
    while process.poll() is None and not list(tmp_path.glob("stopped/work/*/last.pt")):
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) != 0
    assert not (tmp_path / "stopped" / "best.pt").exists()
    assert start(tmp_path / "stopped").wait(300) == 0
    record = json.loads((tmp_path / "stopped" / "run.json").read_text())
    assert record["processes"] == 2
    assert 0 < record["resumed_at"][0] < 60
    for name in ("best.pt", "last.pt", "history.csv"):
        assert sha256_file(tmp_path / "stopped" / name) == sha256_file(tmp_path / "whole" / name), name


TRAINING, OPTIONS = "datasets.d.training", "methods.m3hl.options"
MISTAKES = {
    "unknown dataset": ({"dataset": "x"}, None, "unknown dataset 'x'; the config has d"),
    "unknown method": ({"method": "x"}, None, "unknown method 'x'; the config has m3hl, supervised"),
    "unknown algorithm": (
        {},
        ("methods.m3hl.method", "nnunet"),
        f"unknown method 'nnunet'; there are {', '.join(methods.names())}",
    ),
    "unknown preset": ({}, ("methods.m3hl.preset", "best"), "unknown preset 'best' .* released, paper"),
    "too many labeled": ({"labeled": 4}, None, "4 labeled asked for, but only 3 training groups have labels"),
    "crop and mask patch": ({}, (OPTIONS, {"mask_patch_size": 12}), r"\[32, 32\] .* mask_patch_size \[12, 12\]"),
    "crop and network": ({}, (f"{TRAINING}.crop", [40, 32]), r"crop \[40, 32\] must be a multiple of 16"),
    "crop of another dimension": ({}, (f"{TRAINING}.crop", [32, 32, 32]), "has 3 axes, the data 2"),
    "crop and batch": ({}, (f"{TRAINING}.crop", [16, 16]), "leaves one value per channel at the bottleneck"),
    "odd batch": ({}, (f"{TRAINING}.labeled_batch", 3), "must be equal and even"),
    "GPU wanted": ({}, ("datasets.d.device", "cuda"), r"no CUDA device.*to allow the CPU, set device: auto"),
    "misspelt key": ({}, ("datasets.d.trainign", {}), r"datasets\.d\.trainign: there is no such key"),
    "misspelt option": ({}, (OPTIONS, {"mask_raito": 1}), r"options\.mask_raito: there is no such key"),
    "no such config": ({"config": "none.yaml"}, None, r"none\.yaml: there is no such config; check the path"),
    "missing store": ({"store": "none.h5"}, None, r"none\.h5: there is no such store; make it with m3hl preproc"),
    "no store": ({"store": "text"}, None, "text: this is no whole HDF5 file; make it again"),
    "out below a file": ({"out": "text/run"}, None, "text/run: cannot create the folder"),
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder of one's own, in which there is a text file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("x")
    return tmp_path


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """Be a machine without a GPU, wherever this runs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(mistake, hearts, here, case):
    options, change, message = MISTAKES[case]
    options = {"out": "run"} | ({"config": hearts.config(*change)} if change else {}) | options
    code, line = mistake(*hearts("train", **options))
    assert code == 1
    assert re.search(message, line), line
    assert not list(here.rglob("*.*"))


def test_a_store_of_other_classes_is_refused(mistake, hearts, atria, here):
    code, line = mistake(*hearts("train", store=atria.store, out="run"))
    assert code == 1
    assert "the store has 3D images of left atrium, the run wants 2D and right ventricle, myo" in line


def test_selection_on_an_empty_split_is_refused(mistake, atria, here):
    config = atria.config("datasets.d.training.selection", "val")
    code, line = mistake(*atria("train", config=config, out="run"))
    assert code == 1
    assert "selection: val needs a val split, and it is empty; set hold_out, or selection: last" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labeled": 0}, "--labeled: '0' is neither a positive number nor \"all\""),
        ({"labeled": "some"}, "--labeled: 'some' is neither"),
        ({"seed": -1}, "--seed"),
        ({"seed": 2**32}, "--seed"),
        ({"device": "tpu"}, "--device"),
        ({"threads": 0}, "--threads"),
        ({"epochs": 3}, "No such option '?--epochs"),
    ],
)
def test_wrong_usage_exits_with_2(mistake, hearts, here, options, message):
    code, line = mistake(*hearts("train", out="run", **options))
    assert code == 2
    assert re.search(message, line), line
    assert not (here / "run").exists()


def test_a_work_folder_below_a_file_is_refused(mistake, hearts, here):
    code, _ = mistake(*hearts("train", out="run", work="text"))
    assert code == 1
