"""Results folders as runs leave them, without any training: small arrays and made-up curves."""

import json
import shutil
from functools import partial

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from m3hl.config.datasets import describe
from m3hl.config.experiment import parse_config
from m3hl.data.case import Case, Geometry
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.evaluation.metrics import COLUMNS, measure
from m3hl.reporting.study import load_study
from tests.reporting.ablation_study import ablation_content
from tests.reporting.table1_study import table1_config, write_table1

GEOMETRY = Geometry(
    (8.0, 1.5, 1.5), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1), (2, 1, 0), (0, 0, 0), (6, 40, 44)
)
ERRORS = {"supervised": 0.75, "m3hl": 0.35}
"""How far the made-up predictions are off."""


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Return a results folder in which every run has ended; not to be changed."""
    folder = tmp_path_factory.mktemp("results") / "tiny"
    write_study(folder, study_config())
    return folder


@pytest.fixture
def results(whole, tmp_path):
    """Return a results folder of one's own."""
    return shutil.copytree(whole, tmp_path / "tiny")


@pytest.fixture
def make_config():
    """Return the function that makes a configuration."""
    return study_config


@pytest.fixture(scope="session")
def tiny_config():
    """Return the configuration of `whole`."""
    return study_config()


@pytest.fixture
def finish_run():
    """Return the function that writes a run's files."""
    return write_run


@pytest.fixture
def content_of(tmp_path):
    """Return the function that gives the ablations of a study with made-up numbers."""
    return partial(ablation_content, tmp_path)


def study_config(**changes):
    """Return a configuration of 2 data sets × 2 methods × 1 labeled count × 2 seeds."""
    values = {
        "name": "tiny",
        "datasets": {
            "hearts": {"kind": "acdc", "source": "phantom", "training": {"crop": [64, 64], "iterations": 600}},
            "atria": {"kind": "la", "source": "phantom"},
        },
        "methods": {"supervised": {"method": "supervised"}, "m3hl": {"method": "m3hl", "preset": "paper"}},
        "experiments": [
            {"dataset": ["hearts", "atria"], "method": ["supervised", "m3hl"], "labeled": [3], "seed": [1, 2]}
        ],
    }
    return parse_config(values | changes)


def write_study(folder, config, *, cases=3):
    """Write stores and all runs of a study."""
    for name, dataset in config.datasets.items():
        write_phantoms(folder / "data" / f"{name}.h5", dataset, cases)
    for run in config.runs():
        write_run(folder, config, run)


def write_phantoms(path, dataset, cases):
    """Write a store with balls inside balls as test cases."""
    description = describe(dataset)
    rng = np.random.default_rng(3)
    geometry = GEOMETRY if description.dimensions == 2 else None
    write_store(
        path,
        kind=dataset.kind,
        source=dataset.source,
        description=description,
        source_sha256="0" * 64,
        cases=[
            ball(f"case{n}", rng, len(description.classes), description.dimensions, geometry) for n in range(cases)
        ],
        labeled_order=(),
    )


def ball(name, rng, classes, dimensions, geometry):
    shape = (6, 40, 44) if dimensions == 2 else (44, 40, 16)
    grid = np.indices(shape) - np.array([n / 2 + rng.uniform(-2, 2) for n in shape]).reshape(3, 1, 1, 1)
    grid /= np.array(shape).reshape(3, 1, 1, 1) / 40
    radius = np.sqrt((grid**2).sum(0))
    label = np.zeros(shape, np.uint8)
    for number in range(1, classes + 1):
        label[radius < 16 - 4 * number] = number
    image = (label * 0.2 + ndimage.gaussian_filter(rng.standard_normal(shape), 1)).astype(np.float32)
    return Case(name, name, "test", image, label, geometry)


def write_run(folder, config, run, *, rule="val"):
    """Write what training and evaluation leave of one run."""
    path = folder / run.path
    path.mkdir(parents=True, exist_ok=True)
    settings = config.settings(run).model_dump(mode="json")
    rng = np.random.default_rng([run.seed, len(run.method)])
    error = ERRORS.get(run.method, 0.5)
    write_history(path / "history.csv", rng, run.method, settings["iterations"])
    provenance = {
        "m3hl": "0.1.0",
        "commit": "0123456789abcdef",
        "dirty": False,
        "python": "3.11.8",
        "torch": "2.6.0",
        "numpy": "2.0.0",
        "device": "cpu",
        "cpu": "A processor, 2 cores",
        "threads": 1,
        "container": None,
        "host": "here",
        "started": "2025-01-02T03:04:05+00:00",
        "seconds": 130.5,
        "peak_memory_mib": 812,
        "store_sha256": "ab" * 32,
    }
    record = {
        "experiment": config.name,
        **run._asdict(),
        "settings": settings,
        "selection": {"rule": rule, "iteration": 500, "dice": 80.0},
        "labeled_groups": ["patient003", "patient001", "patient007"],
        "counts": {"labeled_cases": 6, "unlabeled_cases": 42, "labeled_samples": 60, "parameters": 454},
        "seconds": 121.0,
        "provenance": provenance,
    }
    write(path / "run.json", record)
    predict(folder / "data" / f"{run.dataset}.h5", path, rng, error)
    write(
        path / "evaluation.json",
        {"protocol": {}, "split": "test", "cases": 3, "provenance": provenance | {"seconds": 4.2}},
    )


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def write_history(path, rng, method, iterations):
    """Write losses that fall and Dice that rises; validation at every fifth row."""
    steps = np.linspace(0, iterations, 31)[1:].round().astype(int)
    fall = np.exp(-4 * steps / iterations)
    history = pd.DataFrame({"iteration": steps, "learning_rate": 0.01})
    history["loss"] = 0.2 + fall + rng.normal(0, 0.03, len(steps))
    if method == "m3hl":
        for part, size in {"mix": 1.0, "low": 0.05, "high": 0.2}.items():
            history[part] = size * (0.3 + fall) * rng.uniform(0.9, 1.1, len(steps))
    validates = np.arange(1, len(steps) + 1) % 5 == 0
    for network in ("student", "teacher") if method == "m3hl" else ("student",):
        dice = 85 - 60 * fall + rng.normal(0, 1.5, len(steps))
        history[f"val_{network}_dice"] = np.where(validates, dice, np.nan)
        if method == "m3hl":
            history[f"pseudo_{network}_dice"] = np.where(validates, dice - 10, np.nan)
    history.to_csv(path, index=False)


def predict(store_path, path, rng, error):
    """Write predictions, the truth blurred and shifted by chance, and their metrics."""
    rows = []
    with Store(store_path) as store, h5py.File(path / "predictions.h5", "w") as file:
        for case in store.cases("test"):
            truth = store.label(case.name)
            noise = ndimage.gaussian_filter(rng.standard_normal((3, *truth.shape)), (0, 2, 2, 2))
            where = np.indices(truth.shape) + noise / noise.std() * 4 * error * rng.uniform(0.3, 1.3)
            prediction = ndimage.map_coordinates(truth, where, order=0, mode="nearest")
            file[case.name] = prediction
            spacing = case.geometry.spacing if case.geometry else None
            measured = measure(prediction, truth, store.classes, spacing)
            rows += [{"case": case.name, "group": case.group, **row} for row in measured]
    pd.DataFrame(rows)[list(COLUMNS)].to_csv(path / "metrics.csv", index=False)


@pytest.fixture(scope="session")
def table1_results(tmp_path_factory):
    """Return a results folder of Table 1 with metrics and costs alone; not to be changed."""
    folder = tmp_path_factory.mktemp("table1") / "table1"
    write_table1(folder, table1_config())
    return folder


@pytest.fixture(scope="session")
def table1_study(table1_results):
    """Return the study of `table1_results`."""
    return load_study(table1_config(), table1_results)
