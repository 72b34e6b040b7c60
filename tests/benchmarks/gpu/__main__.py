"""`tests/benchmarks/gpu.sh`: train and evaluate runs inside a time budget, and go on at the next call."""

import logging
import os
import shutil
import sys
import time
from pathlib import Path

import click

from m3hl.errors import UserError
from m3hl.files.atomic import make_folder
from tests.benchmarks.gpu.clock import Clock
from tests.benchmarks.gpu.jobs import SPEED, Job, choose, read_list
from tests.benchmarks.gpu.luggage import Luggage
from tests.benchmarks.stores import LABELED

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
FOLDER, STORES = Path("build/gpu"), Path("build/bench")
"""The benchmarks of speed look for data sets in the second."""
RESERVE = 30
"""Seconds at the end in which a training saves itself and everything is packed."""
SPEED_SHARE = 1 / 3
"""Of the time that is left: a machine may be lent once, and what is measured first shall not be all."""
PATH = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True})
@click.argument("names", nargs=-1)
@click.option("--budget", envvar="BUDGET", default=540.0, help="Seconds for all that a call does.")
@click.option("--precision", envvar="PRECISION", default="bf16", help="Of training: float32, tf32 or bf16.")
@click.option("--list", "file", type=PATH, default=HERE / "runs.txt", help="The runs, where none are named.")
@click.option("--configs", type=PATH, default=PROJECT / "config", help="Folder of the studies.")
@click.option("--brought", type=PATH, default=Path("build/carry"), help="Folder of what was brought.")
def main(names: tuple[str, ...], budget: float, precision: str, file: Path, configs: Path, brought: Path) -> None:
    """Train and evaluate runs in their order, each where the last call left it."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    started = float(os.environ.get("STARTED", time.time()))
    clock = Clock(started + budget - min(RESERVE, budget / 6))
    jobs = list(choose(names or read_list(file), configs, FOLDER / "results"))
    luggage = Luggage(FOLDER)
    luggage.receive(brought, STORES)
    states = {(job.name if job else SPEED): advance(job, clock, precision) for job in jobs}
    runs = [job for job in jobs if job]
    luggage.leave(runs, [job for job in runs if states[job.name] == "done now"])
    for name, state in states.items():
        click.echo(f"{name}: {state}")
    if "goes on at the next call" in states.values():
        click.echo("The time is over: call again.")
    if "failed, see above" in states.values():
        sys.exit(1)


def advance(job: Job | None, clock: Clock, precision: str) -> str:
    """Do what is still to do of a run (None: of the measurement of speed), and return how it stands."""
    if job is None:
        return measure_speed(clock)
    if job.evaluated:
        return "done"
    made = STORES / f"{job.data}.h5"
    if not made.is_file():
        return f"waits for the data: bring every piece of store-{job.data}"
    if not job.store.exists():
        make_folder(job.store.parent)
        # Where the pipeline has it: records name what a run was made from by its place.
        job.store.hardlink_to(made)
    commands = [job.evaluate()] if job.trained else [job.train(precision), job.evaluate()]
    for command in commands:
        status = clock.run(command)
        if status is None:
            return "goes on at the next call"
        if status:
            return "failed, see above"
    # What the pipeline keeps for as long, too.
    shutil.rmtree(job.work, ignore_errors=True)
    return "done now"


def measure_speed(clock: Clock) -> str:
    """Run the benchmarks of speed, as far as the time goes; they write what they have after each measurement."""
    out = FOLDER / f"{SPEED}.json"
    if out.exists():
        return "done"
    if not all((STORES / f"{name}-public.h5").exists() for name in LABELED):
        return "waits for the data: bring every piece of store-acdc-public and store-la-public"
    if not clock.left:
        return "goes on at the next call"
    minutes = clock.left / 60 * SPEED_SHARE
    command = [sys.executable, "-m", "tests.benchmarks", "--minutes", str(minutes), "--out", str(out)]
    status = clock.run(command)
    # What the time did not suffice for is left out, and the rest counts.
    return "done now" if out.exists() else "goes on at the next call" if status is None else "failed, see above"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
