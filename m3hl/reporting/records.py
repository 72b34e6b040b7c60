"""run.json and evaluation.json as far as the page reads them; a value of another type makes a file unreadable."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from m3hl.config.experiment import first_problem
from m3hl.errors import UserError
from m3hl.files.reading import read_json


class Record(BaseModel):
    """A part of a JSON file; keys that the page does not read are let through."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


class Provenance(Record):
    """Who made a result; None where it is not told."""

    m3hl: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    python: str | None = None
    torch: str | None = None
    numpy: str | None = None
    scipy: str | None = None
    cuda: str | None = None
    device: str | None = None
    device_name: str | None = None
    cpu: str | None = None
    threads: int | None = None
    precision: str | None = None
    compilation: str | None = None
    container: str | None = None
    image_sha256: str | None = None
    package: str | None = None
    host: str | None = None
    started: str | None = None
    seconds: float | None = None
    peak_memory_mib: float | None = None
    peak_gpu_memory_mib: float | None = None
    gpu_energy_kj: float | None = None
    store_sha256: str | None = None
    method_source: dict[str, str] | None = None
    network_source: dict[str, str] | None = None


class Selected(Record):
    """Which weights were evaluated; the network is "" in records that do not tell."""

    network: str = ""
    rule: str = ""
    iteration: int | None = None
    dice: float | None = None


class Trained(Record):
    """Settings of a training."""

    iterations: PositiveInt | None = None


class TrainingRecord(Record):
    """run.json."""

    settings: Trained = Trained()
    selection: Selected = Selected()
    labeled_groups: tuple[str, ...] = ()
    iterations: int | None = None
    seconds: float | None = None
    resumed_at: tuple[int, ...] = ()
    provenance: Provenance = Provenance()


class Means(Record):
    """A further network's means over the cases; without a Dice no case has a structure."""

    dice: float | None = None


class EvaluationRecord(Record):
    """evaluation.json."""

    others: dict[str, Means] = {}
    provenance: Provenance = Provenance()


R = TypeVar("R", bound=Record)


def read_record(path: Path, kind: type[R]) -> R:
    """Return a record; raises `UserError` where the file is missing, no JSON, or holds something else."""
    value = read_json(path, "record")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{path}: cannot read this record ({first_problem(error)})") from error
