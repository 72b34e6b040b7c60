"""The runs of the list, each with the two commands of the pipeline that make it."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from m3hl.config.experiment import Config, Run, load_config
from m3hl.errors import UserError
from m3hl.files.reading import read_json
from m3hl.provenance.stages import excerpt

SPEED = "speed"
"""The name in the list that stands for the measurement of speed."""


@dataclass(frozen=True)
class Job:
    """One run: trained and evaluated just as the pipeline does it, into a folder like the pipeline's.

    Attributes:
        study: the configuration.
        run: which of its runs.
        results: the folder of all studies' results.
    """

    study: Config
    run: Run
    results: Path

    @property
    def name(self) -> str:
        """The run's name in the list."""
        return f"{self.study.name}/{self.run.path.relative_to('runs')}"

    @property
    def folder(self) -> Path:
        """The run's results."""
        return self.results / self.study.name / self.run.path

    @property
    def work(self) -> Path:
        """The run's checkpoints."""
        return self.results / self.study.name / "work" / self.run.path.relative_to("runs")

    @property
    def data(self) -> str:
        """The name of the packed store; data sets of one kind and source share it."""
        dataset = self.study.dataset(self.run.dataset)
        return f"{dataset.kind}-{dataset.source}"

    @property
    def store(self) -> Path:
        """The data set, where the pipeline has it."""
        return self.results / self.study.name / "data" / f"{self.run.dataset}.h5"

    @cached_property
    def settings(self) -> dict[str, object]:
        """What a record of this run says of its settings."""
        return self.study.settings(self.run).model_dump(mode="json")

    @property
    def trained(self) -> bool:
        """Whether the run is trained with these very settings."""
        record = self.folder / "run.json"
        return record.is_file() and read_json(record, "record")["settings"] == self.settings

    @property
    def evaluated(self) -> bool:
        """Whether the weights that the training has left are measured."""
        record = self.folder / "evaluation.json"
        if not (self.trained and record.is_file()):
            return False
        weights = read_json(self.folder / "run.json", "record")["seal"]["outputs"]["best.pt"]
        return read_json(record, "record")["provenance"]["weights_sha256"] == weights

    def train(self, precision: str) -> list[str]:
        """Return the command that trains the run, or goes on with it."""
        return [
            *self._stage("train", self.run.method),
            *("--method", self.run.method, "--labeled", str(self.run.labeled), "--seed", str(self.run.seed)),
            *("--out", str(self.folder), "--work", str(self.work), "--precision", precision),
        ]

    def evaluate(self) -> list[str]:
        """Return the command that measures the run."""
        return [*self._stage("evaluate"), "--run", str(self.folder)]

    def _stage(self, stage: str, method: str | None = None) -> list[str]:
        config = excerpt(self.study, stage, self.run.dataset, method)
        command = [sys.executable, "-m", "m3hl", stage, "--config", config]
        return [*command, "--dataset", self.run.dataset, "--store", str(self.store)]


def read_list(file: Path) -> list[str]:
    """Return the names in a list of runs."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def choose(names: Iterable[str], configs: Path, results: Path) -> Iterator[Job | None]:
    """Yield the runs that names and patterns stand for, each once; None stands for the measurement of speed.

    Args:
        names: "speed", or STUDY/DATASET/METHOD/labeled-K/seed-S.
        configs: the folder of STUDY.yaml.
        results: the folder of all studies' results.

    Raises:
        UserError: a name stands for no run.
    """
    seen = set()
    for name in names:
        study = load_config(configs / f"{name.partition('/')[0]}.yaml") if name != SPEED else None
        jobs = [Job(study, run, results) for run in study.runs()] if study else [None]
        chosen = [job for job in jobs if job is None or fnmatch(job.name, name)]
        if not chosen:
            raise UserError(f"{name}: there is no such run in {configs}; see tests/benchmarks/gpu/runs.txt")
        for job in chosen:
            key = job and job.name
            if key not in seen:
                seen.add(key)
                yield job
