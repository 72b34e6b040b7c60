"""Precision and compilation: what a machine's profile changes, and what it must not."""

import shutil

import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config.methods import dimensions
from m3hl.data.batches import Batches
from m3hl.data.store import Store
from m3hl.nets import unet
from m3hl.training.step import step

CPU = torch.device("cpu")
NAMES = (
    "m3hl",
    "cutmix",
    "cps",
    "mean-teacher",
    "ua-mt",
    "dtc",
    "sassnet",
    "ss-net",
    "mc-net",
    "bcp",
    "ad-mt",
    "ps-mt",
    "abd",
    "omf",
)
METHODS = [(n, name) for name in NAMES for n in dimensions(name)]
# A voxel near the threshold is sure in one precision and not in the other.
SURE_OF_ALL = {name: {"confidence_threshold": 0.01} for name in ("cutmix", "ad-mt", "ps-mt")}
# Here each voxel is certain, in conflict, or under the mantle, or not by itself; and UA-MT compares the squares of
# small differences.
TOLERANCE = dict.fromkeys(("ua-mt", "ad-mt", "ps-mt", "omf"), 0.1)


@pytest.fixture
def losses(run_settings, make_store):
    """Return a function that trains each stage for some steps and returns each one's losses."""

    def train(dimensions, execution, steps=3, rate=0.01, method="m3hl", **options):
        settings = run_settings(dimensions, method=method, channels=4, options={"learning_rate": rate} | options)
        torch.manual_seed(1)
        rows = []
        for method, batches in stages(settings, make_store(dimensions), execution):
            execution.prepare(list(method.networks().values()), deterministic=False)
            updates = method.updates()
            for iteration in range(steps):
                torch.manual_seed(iteration)
                values = step(method, updates, batches.draw(iteration), execution)
                rows.append({name: value.item() for name, value in values.items()})
            assert all(parameter.dtype == torch.float32 for parameter in method.parameters())
        return rows

    return train


def stages(settings, path, execution):
    """Yield each stage of a run, new, and its batches."""
    for number in range(len(methods.stages(settings))):
        method = methods.build(settings, number).train()
        counts = method.labeled_batch, method.unlabeled_batch
        with Store(path) as store:
            yield method, Batches.load(store, settings, CPU, counts, execution.budget())


@pytest.mark.parametrize(("dimensions", "method"), METHODS)
def test_bf16_computes_the_same_losses_to_two_digits(losses, dimensions, method):
    # Without a step between them: a few updates carry rounding as far as they like (L_high of volumes by half).
    options = {"method": method, "rate": 1e-30} | SURE_OF_ALL.get(method, {})
    exact, rounded = (losses(dimensions, Execution(CPU, how), **options) for how in ("float32", "bf16"))
    for one, other in zip(exact, rounded, strict=True):
        assert other == pytest.approx(one, rel=TOLERANCE.get(method, 0.02))
        assert other != one


@pytest.mark.parametrize("dimensions", [2, 3])
def test_bf16_steps_as_float32_does(losses, dimensions):
    exact, rounded = (losses(dimensions, Execution(CPU, how)) for how in ("float32", "bf16"))
    for one, other in zip(exact, rounded, strict=True):
        assert [other[name] for name in ("mix", "low")] == pytest.approx([one["mix"], one["low"]], rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_compiled_networks_compute_the_same_losses(losses, monkeypatch):
    # Compiled dropout draws other numbers.
    monkeypatch.setattr(unet, "DROPOUT", (0.0,) * 5)
    exact, compiled = (losses(2, Execution(CPU, compilation=how), steps=2) for how in ("off", "kernels"))
    for one, other in zip(exact, compiled, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-4)


def test_validation_is_not_compiled(run_settings, monkeypatch):
    compiled = []
    network = methods.build(run_settings(2, method="m3hl")).student
    monkeypatch.setattr(network, "compile", lambda **options: compiled.append(options["mode"]))
    for how in ("kernels", "graphs"):
        Execution(CPU, compilation=how).prepare([network], deterministic=False)
    assert compiled == ["default", "reduce-overhead"]
    torch.compiler.reset()
    counted = []
    function = torch.compile(lambda x: counted.append(1) or x + 1, backend="eager")
    with Execution(CPU, compilation="kernels").validating():
        for n in (2, 3, 4):
            function(torch.ones(n))
    assert len(counted) == 3
