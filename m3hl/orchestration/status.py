"""How the runs of a study are doing, told from their files alone.

A run is "done" when it is evaluated with the weights of its training. Else the first stage whose result is
missing, and the newest attempt in that stage's log, decide:

- "waiting": there is no log, or it is from before what the stage reads was made; or the data set is being made.
- "failed": the log ends with an error.
- "interrupted": it ends with a signal's error, or it is silent and no process holds the run (`m3hl.files.lock`):
  for a minute where a killed training has left its lock, for ten where there is no lock to ask (other stages, and
  file systems that cannot lock).
- "running": anything else.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from m3hl.config.experiment import Config, Run
from m3hl.errors import UserError
from m3hl.files.lock import is_held
from m3hl.files.reading import read_json
from m3hl.orchestration.attempt import Attempt, read_attempt
from m3hl.progress import clock
from m3hl.provenance.records import RUN_RECORD

State = Literal["waiting", "running", "interrupted", "failed", "done"]
STATES: tuple[State, ...] = ("done", "running", "waiting", "interrupted", "failed")
UNHELD, SILENT = 60, 600
"""Seconds without a line after which a training that no process holds has ended, and any other job."""


@dataclass(frozen=True)
class Status:
    """How one run is doing.

    Attributes:
        run: which one.
        state: see the head of this module.
        stage: the first stage that is missing, "" when done.
        attempt: what this stage's newest log says.
        test_dice: mean test Dice in percent, None before the end.
        why: why it failed or was interrupted.
    """

    run: Run
    state: State
    stage: str = ""
    attempt: Attempt | None = None
    test_dice: float | None = None
    why: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as plain values; times in seconds."""
        step = self.attempt.step if self.attempt else None
        return {
            **self.run._asdict(),
            "state": self.state,
            "stage": self.stage,
            "training_stage": self.attempt.training_stage if self.attempt else None,
            "done": step and step.done,
            "total": step and step.total,
            "seconds_left": step and step.left,
            "val_dice": self.attempt.dice if self.attempt and self.stage == "train" else None,
            "test_dice": self.test_dice,
            "why": self.why,
            "log": str(self.attempt.log) if self.attempt else None,
        }


def look_at(config: Config, results: Path) -> list[Status]:
    """Return how each run of a study is doing, in the order of its experiments."""
    return [status(run, results) for run in config.runs()]


def status(run: Run, results: Path) -> Status:
    """Return how one run is doing."""
    folder = results / run.path
    if is_evaluated(folder):
        try:
            return Status(run, "done", test_dice=mean_dice(folder / "metrics.csv"))
        except (OSError, ValueError, KeyError) as error:
            why = f"{folder / 'metrics.csv'}: cannot read these metrics ({error!r}); evaluate the run again"
            return Status(run, "failed", "evaluate", read_attempt(folder / "logs" / "evaluate.log"), why=why)
    stage, log, made_from = first_missing(run, results)
    attempt = read_attempt(log)
    if attempt is None and stage == "train" and is_held_by_any(run, results):
        # A log may lie elsewhere until the job ends, as in a pod.
        return Status(run, "running", stage)
    if attempt is None or is_older(log, made_from):
        return Status(run, "waiting", stage)
    if attempt.error:
        return Status(run, "interrupted" if attempt.saved else "failed", stage, attempt, why=attempt.error)
    held = is_held_by_any(run, results) if stage == "train" and attempt.silent > UNHELD else None
    if held is False or (held is None and attempt.silent > SILENT):
        unheld = ", and no process holds the run" if held is False else "; it may have been killed"
        return Status(run, "interrupted", stage, attempt, why=f"no line for {clock(attempt.silent)}{unheld}")
    return Status(run, "running" if stage in ("train", "evaluate") else "waiting", stage, attempt)


def first_missing(run: Run, results: Path) -> tuple[str, Path, Path | None]:
    """Return the first stage whose result is missing, its log, and what it reads."""
    folder, logs = results / run.path, results / "logs" / "data"
    files, store = (results / "data" / f"{run.dataset}.{ending}" for ending in ("json", "h5"))
    if (record := folder / RUN_RECORD).is_file():
        return "evaluate", folder / "logs" / "evaluate.log", record
    if store.is_file():
        return "train", folder / "logs" / "train.log", store
    if files.is_file():
        return "preprocess", logs / f"{run.dataset}.preprocess.log", files
    return "download", logs / f"{run.dataset}.download.log", None


def is_evaluated(folder: Path) -> bool:
    """Return whether a run's metrics are of the weights that are there; an earlier training's stay for a while."""
    if not all((folder / name).is_file() for name in (RUN_RECORD, "evaluation.json", "metrics.csv")):
        return False
    trained, evaluated = (
        sealed(folder / name, kind) for name, kind in ((RUN_RECORD, "outputs"), ("evaluation.json", "inputs"))
    )
    return None in (trained, evaluated) or trained == evaluated


def sealed(record: Path, kind: str) -> str | None:
    """Return the digest of best.pt in a record's seal, None where it has none."""
    try:
        return read_json(record, "record")["seal"][kind]["best.pt"]
    except (UserError, KeyError, TypeError):
        return None


def is_older(log: Path, other: Path | None) -> bool:
    """Return whether a log is from before another file was made."""
    return other is not None and log.stat().st_mtime_ns < other.stat().st_mtime_ns


def is_held_by_any(run: Run, results: Path) -> bool | None:
    """Return whether a process trains a run, by the workflow or by hand; None where that cannot be told."""
    folder = results / run.path
    by_workflow = is_held(results / "work" / run.path.relative_to("runs"))
    return is_held(folder / "work") if by_workflow is None else by_workflow


def mean_dice(path: Path) -> float | None:
    """Return the mean Dice (percent) over cases of a metrics.csv, of their means over the structures present.

    As `m3hl.evaluation.summary.run_means` gives it, without pandas: the table shall appear at once.

    Raises:
        OSError, ValueError, KeyError: the file is missing, damaged, or lacks columns.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("it has no rows")
    cases: dict[str, list[float]] = {}
    for row in rows:
        if row["absent"] != "True":
            cases.setdefault(row["case"], []).append(float(row["dice"]))
    return fmean(map(fmean, cases.values())) if cases else None
