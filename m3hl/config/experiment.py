"""The configuration file: data sets, methods, and which of their combinations are run."""

from itertools import product
from math import prod
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, PositiveInt, StringConstraints, ValidationError, model_validator

from m3hl.config import methods, networks
from m3hl.config.base import Model
from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.config.run import RunSettings, check_stride, published_or
from m3hl.errors import UserError
from m3hl.files.reading import parse_yaml, read_text

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]
"""A name that is safe as a folder: letters, digits, dots and dashes."""
Labeled = PositiveInt | Literal["all"]
MOST_RUNS = 10**5


class MethodConfig(Model):
    """A method, under a name of your own."""

    method: str
    """One of the methods below; or your own: `./FILE.py`, relative to the working directory, or the name that an
    installed package gives it."""
    preset: str | None = None
    """One of the method's presets; left out, the first."""
    options: dict[str, Any] = {}
    """Single knobs that differ from the preset."""
    network: str | None = None
    """A network of your own in place of the U-Net or V-Net, for methods that need logits alone: `./FILE.py`, or
    `PACKAGE.MODULE:CLASS` (docs/own-network.md)."""
    by_dataset: dict[Name, dict[str, Any]] = {}
    """Further ones on single data sets, by their names in `datasets`."""


class ExperimentConfig(Model):
    """A block of runs: every combination of its lists."""

    dataset: tuple[Name, ...] = Field(min_length=1)
    """Names from `datasets`."""
    method: tuple[Name, ...] = Field(min_length=1)
    """Names from `methods`."""
    labeled: tuple[Labeled, ...] = Field(min_length=1)
    """Labeled patients (scans in LA), or "all"."""
    seed: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field((1337,), min_length=1)
    """Seeds of initial weights, batches, masks and dropout."""


class Run(NamedTuple):
    """One training run: a row of the study."""

    dataset: str
    method: str
    labeled: int | str
    seed: int

    @property
    def path(self) -> PurePosixPath:
        """The run's folder, relative to `results/<name>`."""
        return PurePosixPath("runs", self.dataset, self.method, f"labeled-{self.labeled}", f"seed-{self.seed}")


class Config(Model):
    """A study."""

    name: Name
    """Results go to results/<name>."""
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    """Data sets, under names of your own."""
    methods: dict[Name, MethodConfig] = {}
    """Methods, under names of your own."""
    experiments: tuple[ExperimentConfig, ...] = ()
    """Which combinations are run."""

    @model_validator(mode="after")
    def _resolvable(self) -> Self:
        for run in self.runs():
            self.dataset(run.dataset).require_path()
        for name in {name for method in self.methods.values() for name in method.by_dataset}:
            self.dataset(name)
        for dataset, method in dict.fromkeys((r.dataset, r.method) for r in self.runs()):
            settings, config = self.settings(Run(dataset, method, "all", 0)), self.dataset(dataset)
            check_stride(config.evaluation.stride or describe(config).stride, settings.crop)
        return self

    def dataset(self, name: str) -> DatasetConfig:
        """Return the data set called `name`; raises `UserError` when there is none."""
        if name not in self.datasets:
            raise UserError(f"unknown dataset {name!r}; the config has {', '.join(self.datasets)}")
        return self.datasets[name]

    def method(self, name: str) -> MethodConfig:
        """Return the method called `name`; raises `UserError` when there is none."""
        if name not in self.methods:
            raise UserError(f"unknown method {name!r}; the config has {', '.join(self.methods) or 'none'}")
        return self.methods[name]

    def method_on(self, name: str, dataset: str) -> MethodConfig:
        """Return the method called `name` with all its options on a data set in one place."""
        method = self.method(name)
        return method.model_copy(
            update={"options": method.options | method.by_dataset.get(dataset, {}), "by_dataset": {}}
        )

    def runs(self) -> list[Run]:
        """Return every run once, in the order of `experiments`."""
        asked = sum(prod(map(len, (b.dataset, b.method, b.labeled, b.seed))) for b in self.experiments)
        if asked > MOST_RUNS:
            raise UserError(f"experiments: {asked} runs are asked for, at most {MOST_RUNS}; shorten the lists")
        rows = (
            Run(*row)
            for block in self.experiments
            for row in product(block.dataset, block.method, block.labeled, block.seed)
        )
        return list(dict.fromkeys(rows))

    def settings(self, run: Run) -> RunSettings:
        """Return the settings of one run with data set defaults, preset and overrides resolved.

        Raises:
            UserError: the data set, method or preset is unknown, the method is not for such data, or the
                settings contradict each other.
        """
        dataset, method = self.dataset(run.dataset), self.method_on(run.method, run.dataset)
        description = describe(dataset)
        if description.dimensions not in (able := methods.dimensions(method.method)):
            raise UserError(
                f"{run.method} on {run.dataset}: method {method.method} is for {able[0]}D data, not for "
                f"{description.dimensions}D; leave this pair out"
            )
        if method.network is not None:
            networks.require_there(method.network)
        preset = method.preset or methods.load(method.method).PRESETS[0]
        options = methods.preset(method.method, preset, description.dimensions) | method.options
        try:
            with methods.blamed(method.method):
                return RunSettings(
                    method=method.method,
                    preset=preset,
                    options=options,
                    network=method.network,
                    dimensions=description.dimensions,
                    classes=description.classes,
                    labeled=run.labeled,
                    seed=run.seed,
                    **published_or(dataset, description, method.method, preset),
                )
        except ValidationError as error:
            raise UserError(f"{run.method} on {run.dataset}: {first_problem(error)}") from error


def load_config(source: str | Path) -> Config:
    """Return the configuration in a YAML file, or in YAML or JSON text itself.

    Raises:
        UserError: the file cannot be read, or a key is unknown, missing or wrong; the message names it.
    """
    text = str(source)
    inline = "\n" in text or text.lstrip().startswith("{")
    where = "config" if inline else text
    return parse_config(parse_yaml(text if inline else read_text(Path(text), "config"), where), where)


def parse_config(values: object, where: str = "config") -> Config:
    """Return the validated configuration of plain values; `where` names them in an error."""
    if not isinstance(values, dict):
        raise UserError(f"{where}: this is no configuration (expected keys such as name and datasets)")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {first_problem(error)}") from error
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def first_problem(error: ValidationError) -> str:
    """Return pydantic's first complaint as one line: where, what is wrong, and what was given."""
    # An unknown key first: it is often a misspelt one that another complaint calls missing.
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    # A key may hold line breaks.
    where = ".".join(str(part) if str(part).isprintable() else repr(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such key; check the spelling (config/README.md lists all)"
    elif problem["type"] == "tuple_type":
        given = problem["input"]
        message = "must be a list" + (f"; write [{given}]" if isinstance(given, str | int | float) else "")
    elif problem["type"] == "string_pattern_mismatch":
        message = f"{problem['input']!r} cannot name a folder; use letters, digits, dots and dashes"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {message}{more}" if where else message + more
