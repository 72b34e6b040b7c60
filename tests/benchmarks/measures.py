"""What `make bench` measures of a run; each function returns its numbers by name."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.config.run import RunSettings
from m3hl.data.store import Store
from m3hl.training.validation import Validation
from tests.benchmarks import steps, volumes
from tests.benchmarks.clock import seconds_each


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        run: M³HL on a data set.
        others: runs of the methods that stand beside the supervised baseline, by name, if for such data.
        dataset: its configuration.
        path: its store.
        device: where.
        rounds: measurements of which the median counts.
        plain: seconds of a step of the plain baseline.
    """

    run: RunSettings
    others: dict[str, RunSettings]
    dataset: DatasetConfig
    path: Path
    device: torch.device
    rounds: int
    plain: float

    @property
    def usual(self) -> Execution:
        """Return the precision that is meant for the device."""
        return Execution(self.device, "float32" if self.device.type == "cpu" else "bf16")


def eager(subject: Subject) -> dict[str, Any]:
    """Return the seconds per step in each precision."""
    precisions = ("float32", "bf16") if subject.device.type == "cpu" else ("float32", "tf32", "bf16")
    return {f"step, {name}": step(subject, Execution(subject.device, name)) for name in precisions}


def kernels(subject: Subject) -> dict[str, Any]:
    """Return the seconds per step with compiled networks; on a GPU only."""
    return compiled(subject, "kernels")


def graphs(subject: Subject) -> dict[str, Any]:
    """Return the seconds per step with compiled networks that are replayed as CUDA graphs; on a GPU only."""
    return compiled(subject, "graphs")


def compiled(subject: Subject, how: Any) -> dict[str, Any]:
    if subject.device.type == "cpu":
        return {}
    torch.compiler.reset()
    return {f"step, bf16, {how}": step(subject, Execution(subject.device, "bf16", how))}


def step(subject: Subject, execution: Execution) -> dict[str, float]:
    steps.forget_peak(subject.device)
    seconds = steps.our_step(subject.run, subject.path, execution, subject.rounds)
    images = subject.run.labeled_batch + subject.run.unlabeled_batch
    return {
        "seconds": seconds,
        "of_plain": seconds / subject.plain,
        "images_per_second": images / seconds,
        "gflops": steps.GFLOP[subject.run.dimensions] / seconds,
        "peak_mib": steps.peak_mib(subject.device),
    }


def beside_supervised(method: str, subject: Subject) -> dict[str, Any]:
    """Return the seconds per step of each stage of a method, beside supervised training on as many images.

    Nothing for a method that is not for such data.
    """
    run, found = subject.others.get(method), {}
    stages = methods.stages(run) if run else ()
    for number, stage in enumerate(stages):
        name = f"{method}, {stage.stage}" if len(stages) > 1 else method
        row = steps.beside_supervised(run, subject.path, subject.usual, subject.rounds, number)
        found[f"step, {name}"] = row
    return found


def views(subject: Subject) -> dict[str, Any]:
    """Return the seconds of the views that AD-MT makes of a batch, and their shares of its step."""
    run = subject.others["ad-mt"]
    return {"views": steps.views_of_a_step(run, subject.path, subject.usual, subject.rounds)}


def parts(subject: Subject) -> dict[str, Any]:
    """Return the seconds of each part of a step."""
    return {"parts": steps.parts_of_a_step(subject.run, subject.path, subject.usual, subject.rounds)}


def places(subject: Subject) -> dict[str, Any]:
    """Return the seconds per step with the images in each place, and the rate of the store in that of memory."""
    run, path = subject.run, subject.path
    seconds = {p: steps.our_step(run, path, subject.usual, subject.rounds, p) for p in steps.BUDGETS}
    return {"places": seconds | {"rate_from_store": seconds["device"] / seconds["store"]}}


def validation(subject: Subject) -> dict[str, Any]:
    """Return the seconds of a validation of student and teacher, and their share of a training."""
    execution = subject.usual
    with Store(subject.path) as store:
        training = steps.Training(subject.run, store, execution)
        loaded = Validation.load(store, subject.run, subject.device)
    if not loaded.cases:
        return {}
    with execution.validating():
        seconds = seconds_each(lambda: loaded(training.method.networks(), nullcontext), 1, subject.device)
    between = subject.run.validate_every * seconds_each(training.step, subject.rounds, subject.device)
    return {"validation": {"seconds": seconds, "share": seconds / (seconds + between)}}


def inference(subject: Subject) -> dict[str, Any]:
    """Return the seconds of segmenting a volume, one by one and as the project does it."""
    stride = describe(subject.dataset).stride
    rounds = max(1, subject.rounds // 3)
    return {"inference": volumes.inference(subject.run, subject.path, stride, subject.device, rounds)}


def matmul_rates(device: torch.device) -> dict[str, float]:
    """Return the GFLOP per second of a large matrix product: what the device can do at most."""
    size = 8192 if device.type == "cuda" else 2048
    rates = {}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        rates[name] = 2 * size**3 / seconds_each(lambda a=a, b=b: a @ b, 3, device) / 1e9
    return rates
