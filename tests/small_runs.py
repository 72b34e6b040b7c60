"""Runs that take a fraction of a second, on tiny stores; a plugin, as several rooms are tested with them."""

import multiprocessing

import pytest
import torch

from m3hl.compute.execution import Execution
from m3hl.config.datasets import describe
from m3hl.config.experiment import Run
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.testing import small
from m3hl.training.loop import train

CPU = Execution(torch.device("cpu"))
SPLITS = {"train": 4, "val": 2, "test": 1}
SHORT_RAMP = {"ramp_step": 1, "ramp_length": 4}
SMALL = {
    ("m3hl", 3): {"high_features": "bottleneck"},
    "mean-teacher": SHORT_RAMP | {"consistency_start": 1},
    "ua-mt": SHORT_RAMP,
    "cutmix": SHORT_RAMP | {"ema_warm_up": True},
    "cps": SHORT_RAMP,
    "dtc": SHORT_RAMP,
    "bcp": {"pretraining_iterations": 4},
    "ps-mt": {"warm_up_share": 0.5, "ramp_share": 0.7, "confidence_threshold": 0.51, "probe": 10.0},
    "ad-mt": {"ramp_step": 1, "ramp_length": 1, "longest_turn": 2, "confidence_threshold": 0.55},
    "abd": {"pretraining_iterations": 4},
    "omf": {"pretraining_iterations": 4},
    "sassnet": SHORT_RAMP | {"adversarial_weight": 1.0},
    "ss-net": SHORT_RAMP | {"weight": 1.0},
    "mc-net": SHORT_RAMP,
}
"""Options without which a small run is impossible, or would end before a ramp has moved."""


def small_options(method, dimensions):
    """Return these for a method and 2D or 3D data."""
    return SMALL.get(method, {}) | SMALL.get((method, dimensions), {})


def study(dimensions, *, method="supervised", options=None, **training):
    """Return a configuration with one data set of one's own, called d, and one method, called m."""
    return small.study(method, dimensions, small_options(method, dimensions) | (options or {}), **training)


@pytest.fixture(scope="session")
def run_settings():
    """Return a function that makes the settings of a small run."""

    def make(dimensions=2, *, labeled=2, seed=5, **keys):
        return study(dimensions, **keys).settings(Run("d", "m", labeled, seed))

    return make


@pytest.fixture(scope="session")
def make_store(tmp_path_factory):
    """Return a function that writes a small store once; the same arguments give the same file."""
    made = {}

    def make(dimensions=2, **splits):
        splits = SPLITS | splits
        key = (dimensions, *splits.values())
        if key not in made:
            made[key] = tmp_path_factory.mktemp("store") / "store.h5"
            write_store(
                made[key],
                kind="custom",
                source="folder",
                description=describe(study(dimensions).dataset("d")),
                source_sha256="0" * 64,
                cases=small.cases(dimensions, splits),
                labeled_order=[f"train{n}" for n in range(splits["train"])],
            )
        return made[key]

    return make


@pytest.fixture(scope="session")
def launch(make_store):
    """Return a function that trains a run of small settings on the CPU."""

    def run(settings, work, *, store=None, code="code", execution=None):
        with Store(store or make_store(settings.dimensions)) as data:
            return train(settings, data, label="test", work=work, execution=execution or CPU, code=code)

    return run


@pytest.fixture(scope="session")
def bits():
    """Return a function that makes a training's whole state comparable, but for time and interruptions."""

    return small.state


@pytest.fixture(scope="session")
def forkserver():
    """Return what starts processes within milliseconds; its server loads the libraries, once for all tests."""
    context = multiprocessing.get_context("forkserver")
    ours = ("commands.train", "training.loop", "evaluation.evaluate", "inference.predict", "reporting.page")
    others = ("torch._dynamo", "torch.utils.tensorboard")
    context.set_forkserver_preload([*(f"m3hl.{name}" for name in ours), *others])
    return context
