"""What a study was meant to be and what is there of it: the plain structure that every section reads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import pandas as pd

from m3hl.config.experiment import Config, Run
from m3hl.config.run import RunSettings
from m3hl.errors import UserError
from m3hl.evaluation.summary import RUN, case_means, read_metrics
from m3hl.reporting.facts import DatasetFacts, MethodFacts, dataset_facts, method_facts
from m3hl.reporting.records import EvaluationRecord, TrainingRecord, read_record

T = TypeVar("T")

NOT_TRAINED = "training has not ended"
NOT_EVALUATED = "evaluation has not ended"


@dataclass(frozen=True)
class RunResult:
    """One run and the files that it has left so far.

    Attributes:
        run: which one it is.
        settings: what the configuration says of it, with data set defaults, preset and overrides resolved.
        folder: where its files are.
        record: run.json, None where there is none.
        evaluation: evaluation.json, None where there is none.
        history: history.csv, None where there is none.
        metrics: metrics.csv, None where there is none.
        gaps: what is missing or unreadable, and why; the first says how far the run has come.
    """

    run: Run
    settings: RunSettings
    folder: Path
    record: TrainingRecord | None
    evaluation: EvaluationRecord | None
    history: pd.DataFrame | None
    metrics: pd.DataFrame | None
    gaps: tuple[str, ...]

    @property
    def test_selected(self) -> bool:
        """Whether the test split chose the weights, so that every number of this run is too good."""
        return self.record is not None and self.record.selection.rule == "test"

    @cached_property
    def case_dice(self) -> pd.Series:
        """Mean Dice over structures (percent) of each case, by group and case, in their order.

        Of a run that has ended. Made once, as every comparison of its method reads it.
        """
        means = case_means(self.metrics.assign(**self.run._asdict()), "published", [*RUN, "group"])
        return means.set_index(["group", "case"])["dice"]

    @property
    def predictions(self) -> Path:
        """The file of predicted label maps."""
        return self.folder / "predictions.h5"


@dataclass(frozen=True)
class Row:
    """One row of a results table: all seeds of a method with one labeled count on one data set."""

    dataset: str
    method: str
    labeled: int | str
    runs: tuple[RunResult, ...]

    @property
    def settings(self) -> RunSettings:
        """The settings of its runs, which differ in the seed alone; those of the first run."""
        return self.runs[0].settings

    @property
    def ended(self) -> tuple[RunResult, ...]:
        """The runs that have metrics."""
        return tuple(result for result in self.runs if result.metrics is not None)

    @property
    def test_selected(self) -> bool:
        """Whether the test split chose the weights of any run with metrics."""
        return any(result.test_selected for result in self.ended)

    @property
    def network(self) -> str:
        """What was evaluated in its runs, where it is another network than the student, else ""."""
        found = (result.record.selection.network for result in self.ended if result.record)
        return ", ".join(dict.fromkeys(name for name in found if name not in ("", "student")))

    @property
    def reason(self) -> str:
        """Why runs are missing, each reason once; "" when none is."""
        gaps = [result.gaps[0] for result in self.runs if result.metrics is None]
        return "; ".join(dict.fromkeys(gaps))


@dataclass(frozen=True)
class Study:
    """A configured study with its results.

    Attributes:
        name: the configuration's name.
        folder: results/<name>.
        datasets: those that have runs, by name.
        methods: all methods that have runs, by name, in the configuration's order.
        results: every configured run, whether it has ended or not.
    """

    name: str
    folder: Path
    datasets: dict[str, DatasetFacts]
    methods: dict[str, MethodFacts]
    results: tuple[RunResult, ...]

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """The metrics of all runs, with the columns of `RUN`; empty while there are none."""
        parts = [
            result.metrics.assign(**result.run._asdict()) for result in self.results if result.metrics is not None
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=RUN)

    def rows(self, dataset: str) -> list[Row]:
        """Return a data set's rows: by labeled count ("all" last), then in the order of the methods."""
        groups: dict[tuple[str, int | str], list[RunResult]] = {}
        for result in self.results:
            if result.run.dataset == dataset:
                groups.setdefault((result.run.method, result.run.labeled), []).append(result)
        order = list(self.methods)
        rows = [Row(dataset, method, labeled, tuple(runs)) for (method, labeled), runs in groups.items()]
        return sorted(rows, key=lambda row: (labeled_order(row.labeled), order.index(row.method)))


def labeled_order(labeled: int | str) -> float:
    """Return a key that sorts labeled counts, "all" last."""
    return float("inf") if labeled == "all" else float(labeled)


def load_study(config: Config, folder: Path) -> Study:
    """Read what the runs of `config` have written below `folder`.

    Raises:
        UserError: there is no such folder, or the configuration has no runs.
    """
    runs = config.runs()
    if not runs:
        raise UserError(f"config {config.name}: it has no experiments, so there is nothing to report; add a block")
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such results folder; check --results")
    used = {run.dataset for run in runs}
    methods = {run.method for run in runs}
    return Study(
        name=config.name,
        folder=folder,
        datasets={
            name: dataset_facts(name, dataset, folder) for name, dataset in config.datasets.items() if name in used
        },
        methods={name: method_facts(name, method) for name, method in config.methods.items() if name in methods},
        results=tuple(load_result(run, config.settings(run), folder / run.path) for run in runs),
    )


def load_result(run: Run, settings: RunSettings, folder: Path) -> RunResult:
    """Read the files of one run; what is missing or unreadable becomes a gap."""
    gaps: list[str] = []

    def read(name: str, reader: Callable[[Path], T]) -> T | None:
        try:
            return reader(folder / name)
        except UserError as error:
            gaps.append(str(error).replace(f"{folder}/", ""))
            return None

    trained, evaluated = (folder / "run.json").exists(), (folder / "metrics.csv").exists()
    if not evaluated:
        gaps.append(NOT_EVALUATED if trained else NOT_TRAINED)
    return RunResult(
        run=run,
        settings=settings,
        folder=folder,
        metrics=read("metrics.csv", read_metrics) if evaluated else None,
        record=read("run.json", partial(read_record, kind=TrainingRecord)) if trained or evaluated else None,
        history=read("history.csv", read_history) if trained or evaluated else None,
        evaluation=read("evaluation.json", partial(read_record, kind=EvaluationRecord)) if evaluated else None,
        gaps=tuple(gaps),
    )


def read_history(path: Path) -> pd.DataFrame:
    """Return a learning curve; raises `UserError` where it is missing, damaged, or lacks columns."""
    try:
        history = pd.read_csv(path)
        if not {"iteration", "loss"} <= set(history):
            raise ValueError("it lacks iteration or loss")
        history = history.apply(pd.to_numeric).dropna(subset=["iteration", "loss"])
        if history.empty:
            raise ValueError("it has no rows")
    except (OSError, ValueError) as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise UserError(f"{path}: cannot read this learning curve ({problem})") from error
    return history
