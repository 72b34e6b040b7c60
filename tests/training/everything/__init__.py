"""A method outside of the package, and a run of it in a process that is killed."""

import os
import signal
from pathlib import Path

import torch

import m3hl.config.methods
import m3hl.methods
from m3hl.compute.execution import Execution
from m3hl.data.store import Store
from m3hl.files.atomic import write_json
from m3hl.training import checkpoint, loop, state
from m3hl.training.results import save_weights

HERE = Path(__file__).parent


def install():
    """Let the package find the method."""
    for package, folder in ((m3hl.config.methods, "config"), (m3hl.methods, "methods")):
        if str(HERE / folder) not in package.__path__:
            package.__path__ = [*package.__path__, str(HERE / folder)]


def run(settings, dataset, store, folder, deaths=()):
    """Train a run, and write its weights and its history.

    Args:
        settings, dataset: as plain values.
        store: path of the data set.
        folder: of the results, and of the checkpoints.
        deaths: where the process kills itself: (class, method, number of the call, before or after it).
    """
    install()
    checkpoint.SHARE = 0
    for place, name, number, before in deaths:
        die(getattr({"Training": state, "Checkpoints": checkpoint}[place], place), name, number, before=before)
    settings = loop.RunSettings.model_validate(settings)
    with Store(store) as data:
        training = loop.train(
            settings,
            data,
            label="test",
            work=folder / "work",
            execution=Execution(torch.device("cpu")),
            code="code",
        )
        save_weights(training, folder, settings, dataset, data)
    training.history.write(folder / "history.csv")
    write_json(folder / "ended.json", training.ended)


def die(place, name, number, *, before):
    """Let a call of `place.name` be the last thing that the process does."""
    original, calls = getattr(place, name), []

    def watched(*arguments, **options):
        calls.append(name)
        if before and len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, watched)


def killed_at_random(start, folder, rng, longest):
    """Start a run again and again, until it ends by itself; yield its newest checkpoint, if any, after each kill.

    Args:
        start: starts it in a process, and returns that.
        folder: of the run.
        rng: source of the moments.
        longest: seconds that a process may live; more and more until there is a checkpoint, as the machine may
            have become slower since they were measured.
    """
    process = start(folder)
    while not ended(process, rng.uniform(0, longest)):
        last = next(iter(folder.glob("work/*/last.pt")), None)
        longest *= 1 if last else 1.1
        yield last
        process = start(folder)
    assert process.exitcode == 0


def ended(process, seconds):
    """Return whether a process has ended by itself after so many seconds; if not, it is killed."""
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode != -9
