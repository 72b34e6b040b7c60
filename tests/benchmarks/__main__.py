"""`make bench`: speed and memory of training and evaluation, beside a plain implementation in the same process."""

import gc
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import torch

from m3hl.compute.device import choose_device, describe_device
from m3hl.config import methods
from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.files.atomic import write_json
from m3hl.provenance.origin import Stopwatch
from tests.benchmarks import measures, steps, volumes
from tests.benchmarks.stores import FOLDER, LABELED, make_store, settings, study


@click.command(context_settings={"show_default": True})
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
@click.option("--rounds", default=5, help="Measurements of which the median counts.")
@click.option("--minutes", default=9.0, help="What is not begun by then is left out.")
@click.option("--tiny", is_flag=True, help="Synthetic scans and networks of no size, to see that it runs.")
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER / "bench.json", help="JSON of all numbers.")
def main(device: str, threads: int | None, rounds: int, minutes: float, tiny: bool, out: Path) -> None:
    """Measure seconds per step and per volume; the file is written anew after each measurement."""
    deadline, stopwatch, config = time.monotonic() + 60 * minutes, Stopwatch(), study(tiny=tiny)
    paths = {name: make_store(config, name, FOLDER / "tiny" if tiny else FOLDER) for name in LABELED}
    # The plain baseline comes first: nothing helps it along that the project sets for the whole process.
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    torch.set_num_threads(threads or torch.get_num_threads())
    plain = {}
    for name, path in paths.items():
        plain[name] = steps.plain_step(settings(config, name), path, where, rounds)
        gc.collect()
        print(f"{name}  step, plain: {plain[name]:.4g} s", flush=True)

    where = choose_device(device, threads)
    numbers: dict[str, Any] = {
        name: {"data": config["datasets"][name]["source"], "plain": plain[name]} for name in paths
    }
    numbers["provenance"] = stopwatch.record(**describe_device(where), matmul_gflops=measures.matmul_rates(where))
    others = [name for name in methods.names() if name != "supervised"]
    in_order = {
        **named(measures.eager, measures.parts, measures.validation, measures.places, measures.inference),
        **{f"step, {name}": partial(measures.beside_supervised, name) for name in others},
        **named(measures.views),
        # What takes longest to begin comes last: compiling.
        **named(measures.kernels, measures.graphs),
    }
    for title, measure in in_order.items():
        for name, path in paths.items():
            if time.monotonic() > deadline:
                print(f"{name}  {title}: left out, {minutes:g} minutes are over")
                continue
            dataset = DatasetConfig(**config["datasets"][name])
            able = [other for other in others if describe(dataset).dimensions in methods.dimensions(other)]
            runs = {other: settings(config, name, other) for other in able}
            subject = measures.Subject(runs["m3hl"], runs, dataset, path, where, rounds, plain[name])
            found = measure(subject)
            gc.collect()
            show(name, found)
            numbers[name] |= found
            write_json(out, numbers)
    if find_spec("medpy"):
        numbers["metrics"] = volumes.metrics(paths["la"], 1 if tiny else 5)
        show("la", {"metrics": numbers["metrics"]})
    write_json(out, numbers)
    print(f"Written: {out}")


def named(*functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Return functions by their names."""
    return {function.__name__: function for function in functions}


def show(name: str, found: dict[str, dict[str, float]]) -> None:
    """Print a line for each measurement."""
    for title, numbers in found.items():
        print(f"{name}  {title}: " + "  ".join(f"{key} {value:.4g}" for key, value in numbers.items()), flush=True)


if __name__ == "__main__":
    main()
