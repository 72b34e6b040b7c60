"""`m3hl status`: each state from the files that a run leaves, as a table and as JSON."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from m3hl.config.experiment import parse_config
from m3hl.errors import ERROR, MISTAKE
from m3hl.evaluation.metrics import COLUMNS
from m3hl.evaluation.summary import RUN, run_means
from m3hl.files.atomic import write_json, write_text
from m3hl.orchestration.plan import STUDY, write_plan
from m3hl.orchestration.status import SILENT, UNHELD, mean_dice
from m3hl.progress import Progress
from m3hl.provenance.origin import origin
from m3hl.training.interruption import SAVED
from m3hl.training.session import stage_label

PLAN = {
    "name": "tiny",
    "datasets": {"hearts": {"kind": "acdc", "source": "phantom"}},
    "methods": {"supervised": {"method": "supervised"}},
    "experiments": [{"dataset": ["hearts"], "method": ["supervised"], "labeled": [3], "seed": [1]}],
}
FAILED = f"{ERROR}the loss is nan at iteration 20; lower the learning rate"


def line(done, total=200, text="loss 0.127  Dice 44.4", label="hearts"):
    """Return a progress line as a stage writes it, ten seconds after its beginning."""
    progress = Progress(label, total)
    progress.done = done
    return progress.line(10.0, text)


class Results:
    """The results of a study with one run, made file by file; each file is a second newer than the one before."""

    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        self.run = folder / "runs/hearts/supervised/labeled-3/seed-1"
        self.work = folder / "work/hearts/supervised/labeled-3/seed-1"
        self.time = time.time() - 100
        write_plan(parse_config(PLAN), folder)

    def aged(self, path):
        self.time += 1
        os.utime(path, (self.time, self.time))

    def preprocessed(self):
        for name in ("data/hearts.json", "data/hearts.h5"):
            write_text(self.folder / name, "")
            self.aged(self.folder / name)

    def trained(self, weights="a"):
        self.preprocessed()
        write_json(self.run / "run.json", {"seal": {"outputs": {"best.pt": weights}}})
        self.aged(self.run / "run.json")

    def evaluated(self, weights="a", metrics=None):
        write_json(self.run / "evaluation.json", {"seal": {"inputs": {"best.pt": weights}}})
        write_text(self.run / "metrics.csv", rows().to_csv(index=False) if metrics is None else metrics)

    def log(self, name, *lines, silent=0.0):
        path = self.folder / "logs/data" / name if name.startswith("hearts") else self.run / "logs" / name
        write_text(path, "\n".join([origin(), *lines, ""]))
        now = time.time() - silent
        os.utime(path, (now, now))
        return path

    @contextmanager
    def locked(self, folder=None):
        """Hold the run as a training does, as far as another process sees it."""
        path = (folder or self.work) / "lock"
        write_text(path, "process 1 on node\n")
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def status(self):
        """Return the run's object, whose values the table must show too."""
        code, out, err = self.program("status", self.folder, "--json")
        assert (code, err) == (0, "")
        (record,) = map(json.loads, out.splitlines())
        return record

    def table(self):
        code, out, err = self.program("status", self.folder)
        assert (code, err) == (0, "")
        return out


@pytest.fixture
def results(tmp_path, program):
    return Results(tmp_path / "tiny", program)


def rows():
    """Return metrics of two cases: one with an absent structure, one with a missed one."""
    frame = pd.DataFrame(0.0, index=range(4), columns=list(COLUMNS)).astype(
        {"missed": bool, "spurious": bool, "absent": bool}
    )
    return frame.assign(
        **{
            "case": ["a", "a", "b", "b"],
            "group": ["a", "a", "b", "b"],
            "class": ["left", "right"] * 2,
            "dice": [80.0, None, 0.0, 50.0],
            "absent": [False, True, False, False],
            "missed": [False, False, True, False],
        }
    )


def test_a_run_without_any_file_is_waiting(results):
    assert results.status() == {
        "dataset": "hearts", "method": "supervised", "labeled": 3, "seed": 1, "state": "waiting",
        "stage": "download", "training_stage": None, "done": None, "total": None, "seconds_left": None,
        "val_dice": None, "test_dice": None, "why": "", "log": None,
    }  # fmt: skip
    assert "1 run: 1 waiting\n" in results.table()


def test_a_training_whose_log_lies_elsewhere_is_running_while_its_lock_is_held(results):
    results.preprocessed()
    assert results.status()["state"] == "waiting"
    with results.locked():
        record = results.status()
    assert (record["state"], record["stage"], record["log"]) == ("running", "train", None)


def test_a_training_shows_iteration_dice_and_time_left(results):
    results.preprocessed()
    log = results.log("train.log", line(50), line(150))
    record = results.status()
    assert (record["state"], record["stage"], record["log"]) == ("running", "train", str(log))
    assert (record["done"], record["total"], record["seconds_left"], record["val_dice"]) == (150, 200, 3, 44.4)
    assert re.search(
        r"hearts +supervised +3 +1 +running  █{15}░{5}  75% 150/200  val Dice 44\.4  0:03 left\n",
        results.table(),
    )


def test_a_training_in_stages_shows_which_one_it_is_in(results):
    training = SimpleNamespace(stage=0, method=SimpleNamespace(stage="pretraining"))
    label = stage_label(training, SimpleNamespace(stages=2, label="hearts · bcp"))
    assert label == "hearts · bcp · stage 1 of 2, pretraining"
    results.preprocessed()
    results.log("train.log", line(50, label=label))
    assert results.status()["training_stage"] == "stage 1 of 2, pretraining"
    assert re.search(r"running  stage 1 of 2, pretraining  █{5}░{15}  25% 50/200  val", results.table())
    results.log("train.log", line(50))
    assert results.status()["training_stage"] is None


def test_a_log_and_a_terminal_without_the_signs(results):
    results.preprocessed()
    plain = line(50, label="hearts · bcp · stage 1 of 2, pretraining").translate(str.maketrans("█░·", "#.-"))
    results.log("train.log", plain)
    assert results.status()["training_stage"] == "stage 1 of 2, pretraining"
    command = [sys.executable, "-m", "m3hl", "status", str(results.folder)]
    western = os.environ | {"PYTHONIOENCODING": "latin-1"}
    shown = subprocess.run(command, env=western, capture_output=True, check=True)
    assert b"pretraining  #####...............  25% 50/200  val" in shown.stdout


def test_a_training_that_has_only_begun_has_no_numbers(results):
    results.preprocessed()
    results.log("train.log", "hearts  54 labeled samples")
    record = results.status()
    assert (record["state"], record["done"], record["val_dice"]) == ("running", None, None)
    assert "running  train begins\n" in results.table()


def test_the_dice_of_an_evaluation_is_not_shown_as_validation(results):
    results.trained()
    results.log("evaluate.log", line(3, 10, "Dice 81.0"))
    record = results.status()
    assert (record["state"], record["stage"], record["done"], record["val_dice"]) == (
        "running",
        "evaluate",
        3,
        None,
    )
    assert "Dice" not in results.table()


def test_a_trained_run_waits_for_its_evaluation(results):
    results.log("evaluate.log", FAILED, silent=3600)
    results.trained()
    record = results.status()
    assert (record["state"], record["stage"], record["why"]) == ("waiting", "evaluate", "")
    assert "waiting  trained, not yet evaluated\n" in results.table()


def test_a_done_run_shows_its_mean_test_dice(results):
    results.trained()
    results.evaluated()
    record = results.status()
    assert (record["state"], record["stage"], record["test_dice"]) == ("done", "", 52.5)
    assert "1 run: 1 done\n" in results.table()
    assert "done   test Dice 52.5\n" in results.table()


def test_the_mean_is_that_of_the_report(results):
    results.evaluated()
    run = dict(zip(RUN, ("hearts", "supervised", 3, 1), strict=True))
    assert mean_dice(results.run / "metrics.csv") == run_means(rows().assign(**run), "published")["dice"][0]


def test_metrics_of_other_weights_do_not_make_a_run_done(results):
    results.trained(weights="b")
    results.evaluated(weights="a")
    assert results.status()["state"] == "waiting"


def test_metrics_stay_from_before_while_a_run_is_trained_again(results):
    results.trained()
    results.evaluated()
    (results.run / "run.json").unlink()
    results.log("train.log", line(20))
    assert results.status()["state"] == "running"


@pytest.mark.parametrize("metrics", ["", "case,dice\na,80\n", "case,absent,dice\na,False,x\n"])
def test_metrics_that_cannot_be_read_are_a_failure(results, metrics):
    results.trained()
    results.evaluated(metrics=metrics)
    record = results.status()
    assert (record["state"], record["test_dice"]) == ("failed", None)
    assert "evaluate the run again" in record["why"]


def test_a_failed_run_tells_why_and_where(results):
    results.preprocessed()
    log = results.log("train.log", line(10), FAILED)
    record = results.status()
    assert (record["state"], record["why"]) == ("failed", FAILED.removeprefix(ERROR))
    first, second = results.table().splitlines()[2:]
    assert "failed  train: the loss is nan at iteration 20; lower the learning rate" in first
    assert second.strip() == str(log)


def test_a_mistake_of_the_program_is_named_by_its_exception(results):
    results.preprocessed()
    results.log("train.log", MISTAKE, "Traceback (most recent call last):", "  …", "ZeroDivisionError: oops")
    assert results.status()["why"] == "ZeroDivisionError: oops"


def test_only_the_newest_attempt_counts(results):
    results.preprocessed()
    results.log("train.log", line(150), FAILED, origin(), line(10))
    record = results.status()
    assert (record["state"], record["done"], record["why"]) == ("running", 10, "")


def test_an_error_from_before_the_store_was_made_again_is_not_told(results):
    results.log("train.log", FAILED, silent=3600)
    results.preprocessed()
    assert results.status()["state"] == "waiting"


def test_a_run_that_a_signal_ended_is_interrupted(results):
    results.preprocessed()
    results.log("train.log", line(10), f"{ERROR}SIGTERM at iteration 12: {SAVED}")
    record = results.status()
    assert (record["state"], record["why"]) == ("interrupted", f"SIGTERM at iteration 12: {SAVED}")


@pytest.mark.parametrize(
    ("silent", "lock", "state"),
    [
        (UNHELD - 10, "left", "running"),
        (UNHELD + 10, "left", "interrupted"),
        (UNHELD + 10, "held", "running"),
        (SILENT + 10, "held", "running"),
        (UNHELD + 10, "none", "running"),
        (SILENT + 10, "none", "interrupted"),
    ],
)
@pytest.mark.parametrize("by", ["workflow", "hand"])
def test_a_silent_training_runs_as_long_as_a_process_holds_it(results, silent, lock, state, by):
    results.preprocessed()
    os.utime(results.folder / "data/hearts.h5", (0, 0))
    work = results.work if by == "workflow" else results.run / "work"
    if lock == "none":
        results.log("train.log", line(150), silent=silent)
        record = results.status()
    else:
        with results.locked(work):
            results.log("train.log", line(150), silent=silent)
            held = results.status()
        record = held if lock == "held" else results.status()
    assert record["state"] == state
    assert (f"no line for {silent // 60}:" in record["why"]) == (state == "interrupted")
    assert ("no process holds the run" in record["why"]) == (state == "interrupted" and lock == "left")


def test_a_silent_evaluation_is_interrupted_after_ten_minutes(results):
    results.trained()
    os.utime(results.run / "run.json", (0, 0))
    results.log("evaluate.log", line(3, 10), silent=SILENT - 10)
    assert results.status()["state"] == "running"
    results.log("evaluate.log", line(3, 10), silent=SILENT + 10)
    assert results.status()["state"] == "interrupted"


def test_a_data_set_that_failed_is_told_by_its_runs(results):
    log = results.log("hearts.download.log", f"{ERROR}data/ACDC: there is no such folder; check path")
    record = results.status()
    assert (record["state"], record["stage"], record["log"]) == ("failed", "download", str(log))


def test_runs_wait_while_their_data_set_is_made(results):
    write_text(results.folder / "data/hearts.json", "")
    results.log("hearts.preprocess.log", line(19, 38, "patient001_frame02"))
    assert results.status()["state"] == "waiting"
    assert re.search(r"waiting  preprocess  █{10}░{10}  50% 19/38  0:10 left\n", results.table())


def test_a_long_log_is_read_from_its_end(results):
    results.preprocessed()
    results.log("train.log", *[line(1)] * 5000, line(150))
    assert results.status()["done"] == 150


def test_without_a_plan_the_configuration_is_asked_for(results, mistake, program, tmp_path):
    (results.folder / STUDY).unlink()
    code, said = mistake("status", results.folder)
    assert code == 1
    assert "there is no study.json" in said
    assert "--config FILE" in said
    write_json(tmp_path / "given.yaml", PLAN)
    code, out, _ = program("status", results.folder, "--config", tmp_path / "given.yaml")
    assert (code, "1 waiting" in out) == (0, True)


def test_a_missing_folder_and_a_plan_without_runs_are_mistakes(mistake, tmp_path):
    assert "there is no such folder" in mistake("status", tmp_path / "nothing")[1]
    write_json(tmp_path / STUDY, PLAN | {"experiments": []})
    assert "there are no experiments" in mistake("status", tmp_path)[1]


def test_it_answers_without_the_large_libraries(results):
    heavy = "torch numpy pandas scipy h5py".split()  # noqa: SIM905
    code = (
        "import sys; from click.testing import CliRunner; from m3hl.cli import cli\n"
        f"assert CliRunner().invoke(cli, ['status', {str(results.folder)!r}]).exit_code == 0\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("[]\n", "")
