"""Runs that take a second or two, on drawn data that are written into a temporary folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from m3hl.compute.execution import Execution, Precision
from m3hl.config.datasets import describe
from m3hl.config.experiment import Config, Run, parse_config
from m3hl.config.run import RunSettings
from m3hl.data.case import Case
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.training.loop import train
from m3hl.training.state import Training

CPU = torch.device("cpu")
SHAPE = {2: (3, 20, 24), 3: (24, 20, 18)}
CROP = {2: (32, 32), 3: (32, 32, 32)}
SPLITS = {"train": 4, "val": 1, "test": 1}
LABELED = 2
"""Of the four training cases."""


def study(
    method: str,
    dimensions: int,
    options: dict[str, Any] | None = None,
    network: str | None = None,
    **training: Any,
) -> Config:
    """Return a configuration with one small data set, called d, and a method, called m."""
    small = {"channels": 2, "crop": CROP[dimensions], "labeled_batch": 2, "unlabeled_batch": 2}
    dataset = {
        "kind": "custom",
        "source": "folder",
        "path": "cases.csv",
        "dimensions": dimensions,
        "classes": ["blob"],
        "training": small | {"iterations": 6, "validate_every": 2, "selection": "val"} | training,
    }
    methods = {"m": {"method": method, "options": options or {}, "network": network}}
    return parse_config({"name": "test", "datasets": {"d": dataset}, "methods": methods})


def settings(
    method: str,
    dimensions: int,
    options: dict[str, Any] | None = None,
    network: str | None = None,
    **training: Any,
) -> RunSettings:
    """Return the settings of a small run."""
    return study(method, dimensions, options, network, **training).settings(Run("d", "m", LABELED, 5))


def cases(dimensions: int, splits: Mapping[str, int] = SPLITS, *, poisoned: bool = False) -> Iterator[Case]:
    """Yield noisy cases with one bright blob each, so many per split.

    Poisoned: label maps that no run may read are wrong.
    """
    rng, shape = np.random.default_rng(dimensions), SHAPE[dimensions]
    for split, count in splits.items():
        for number in range(count):
            center = [n * rng.uniform(0.35, 0.65) for n in shape]
            axes = np.ogrid[tuple(slice(n) for n in shape)]
            label = sum((4 * (a - c) / n) ** 2 for a, c, n in zip(axes, center, shape, strict=True)) < 1
            image = (label + rng.normal(0, 0.3, shape)).astype(np.float32)
            if poisoned and split == "train" and number >= LABELED:
                label = ~label
            yield Case(f"{split}{number}", f"{split}{number}", split, image, label.astype(np.uint8), None)


@contextmanager
def store(dimensions: int, *, poisoned: bool = False) -> Iterator[Store]:
    """Yield the data of a small run."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.h5"
        write_store(
            path,
            kind="custom",
            source="folder",
            description=describe(study("supervised", dimensions).dataset("d")),
            source_sha256="0" * 64,
            cases=cases(dimensions, poisoned=poisoned),
            labeled_order=[f"train{n}" for n in range(SPLITS["train"])],
        )
        with Store(path) as data:
            yield data


def run(
    chosen: RunSettings,
    work: Path | None = None,
    *,
    poisoned: bool = False,
    precision: Precision = "float32",
) -> Training:
    """Train a small run on the CPU; with a folder, what an interrupted run left there is taken up."""
    with store(chosen.dimensions, poisoned=poisoned) as data, TemporaryDirectory() as folder:
        return train(
            chosen,
            data,
            label=chosen.method,
            work=work or Path(folder),
            execution=Execution(CPU, precision),
            code="",
        )


def bits(value: Any) -> Any:
    """Return nested values with every tensor as its type, shape and bytes, so that `==` compares bits."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(inner) for key, inner in value.items()}
    return [bits(inner) for inner in value] if isinstance(value, list | tuple) else value


def state(training: Training) -> dict[str, Any]:
    """Return a training's whole state as bits, but for the time that it took and its interruptions."""
    values = training.state_dict()
    return bits({key: value for key, value in values.items() if key not in ("seconds", "resumed_at")})
