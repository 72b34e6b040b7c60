"""`make bench`: speed and memory of training and evaluation, beside a plain implementation in the same process.

On a GPU the whole takes less than ten minutes; results are written after each measurement.
"""

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from m3hl.config.dataset import DatasetConfig
from m3hl.config.run import RunSettings, describe
from m3hl.files import write_json
from m3hl.provenance import Stopwatch
from m3hl.training.device import choose_device, describe_device
from m3hl.training.execution import Execution
from tests.benchmarks import steps, volumes
from tests.benchmarks.clock import seconds_each
from tests.benchmarks.stores import LABELED, make_store, settings, study


@click.command(context_settings={"show_default": True})
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute.")
@click.option("--threads", type=int, help="CPU threads.  [default: all cores]")
@click.option("--rounds", default=5, help="Measurements of which the median counts.")
@click.option("--tiny", is_flag=True, help="Synthetic scans and networks of no size, to see that it runs.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="build/bench/bench.json", help="JSON of all numbers."
)
@click.option("--stores", type=click.Path(path_type=Path), default="build/bench", help="Folder for the data.")
def main(device: str, threads: int | None, rounds: int, tiny: bool, out: Path, stores: Path) -> None:
    """Measure seconds per step and per volume, and print them as tables."""
    config, stopwatch = study(tiny=tiny), Stopwatch()
    paths = {name: make_store(config, name, stores / "tiny" if tiny else stores) for name in LABELED}
    numbers: dict[str, Any] = {}
    # The plain baseline comes first, before anything is set that would help it along.
    plain = {}
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    if threads:
        torch.set_num_threads(threads)
    for name, path in paths.items():
        plain[name] = steps.plain_step(settings(config, name), path, where, rounds)
        print(f"{name}: plain {plain[name]:.4f} s per step", flush=True)
        gc.collect()
    where = choose_device(device, threads)
    for name, path in paths.items():
        run = settings(config, name)
        numbers[name] = {"source": config["datasets"][name]["source"], "plain": plain[name]}
        subject = Subject(run, path, DatasetConfig(**config["datasets"][name]), where, rounds, plain[name])
        for measure in (speeds, parts, places, evaluation):
            numbers[name] |= measure(subject)
            gc.collect()
            provenance = stopwatch.record(**describe_device(where), matmul_gflops=matmul_rates(where))
            write_json(out, {"data": numbers, "provenance": provenance})
    numbers["metrics"] = volumes.metrics(paths["la"], 1 if tiny else 5)
    show(numbers["metrics"], "metrics of LA, per volume")
    write_json(out, {"data": numbers, "provenance": provenance})
    print(f"Written: {out}")


@dataclass(frozen=True)
class Subject:
    """What is measured: a run, its store, its data set, where, how often, and the plain baseline's seconds."""

    run: RunSettings
    path: Path
    dataset: DatasetConfig
    device: torch.device
    rounds: int
    plain: float


def usual(device: torch.device) -> Execution:
    """Return the precision that is meant for a device."""
    return Execution(device, "float32" if device.type == "cpu" else "bf16")


def executions(device: torch.device) -> dict[str, Execution]:
    """Return what is measured on a device, by name; the first is the reference of the others."""
    if device.type == "cpu":
        return {"float32": Execution(device), "bf16": Execution(device, "bf16")}
    return {
        "float32": Execution(device),
        "tf32": Execution(device, "tf32"),
        "bf16": Execution(device, "bf16"),
        "bf16, kernels": Execution(device, "bf16", "kernels"),
        "bf16, graphs": Execution(device, "bf16", "graphs"),
    }


def speeds(subject: Subject) -> dict[str, Any]:
    """Return the seconds per step of each way to execute it."""
    rows = {}
    images = subject.run.labeled_batch + subject.run.unlabeled_batch
    for name, execution in executions(subject.device).items():
        torch.compiler.reset()
        seconds = steps.our_step(subject.run, subject.path, execution, subject.rounds)
        rows[name] = {
            "seconds": seconds,
            "of_plain": seconds / subject.plain,
            "images_per_second": images / seconds,
            "gflops": steps.GFLOP[subject.run.dimensions] / seconds,
            "peak_mib": steps.peak_mib(subject.device),
        }
        show(rows[name], f"{subject.run.dimensions}D step, {name}")
    return {"steps": rows}


def parts(subject: Subject) -> dict[str, Any]:
    """Return the seconds of each part of a step, in the precision that is meant for the device."""
    execution = usual(subject.device)
    found = steps.parts_of_a_step(subject.run, subject.path, execution, subject.rounds)
    show(found, f"{subject.run.dimensions}D step by part, seconds")
    return {"parts": found}


def places(subject: Subject) -> dict[str, Any]:
    """Return the seconds per step with the images in each place."""
    execution = usual(subject.device)
    found = {
        place: steps.our_step(subject.run, subject.path, execution, subject.rounds, place)
        for place in steps.BUDGETS
    }
    show(found, f"{subject.run.dimensions}D step by place of the images, seconds")
    return {"places": found}


def evaluation(subject: Subject) -> dict[str, Any]:
    """Return the seconds of segmenting a volume."""
    stride = describe(subject.dataset).stride
    found = volumes.inference(subject.run, subject.path, stride, subject.device, max(1, subject.rounds // 3))
    show(found, f"{subject.run.dimensions}D inference, one volume")
    return {"inference": found}


def matmul_rates(device: torch.device) -> dict[str, float]:
    """Return the GFLOP per second of a large matrix product: what the device can do at most."""
    size = 8192 if device.type == "cuda" else 2048
    rates = {}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        rates[name] = 2 * size**3 / seconds_each(lambda a=a, b=b: a @ b, 3, device) / 1e9
    return rates


def show(numbers: dict[str, float], title: str) -> None:
    """Print a line of numbers."""
    print(f"{title}: " + "  ".join(f"{name} {value:.4g}" for name, value in numbers.items()), flush=True)


if __name__ == "__main__":
    main()
