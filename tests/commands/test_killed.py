"""Twenty kills at random moments: every run still ends with the bits of one that never stopped."""

import multiprocessing
import signal
import sys
import time

import numpy as np
import pytest

from m3hl.cli import main
from m3hl.files import sha256_file

KILLS = 10
TRAINING = {
    "acdc": {"channels": 2, "iterations": 40, "validate_every": 2},
    "la": {"channels": 2, "iterations": 10, "validate_every": 1},
}
FILES = ("best.pt", "last.pt", "history.csv")


@pytest.fixture(scope="module")
def start():
    """Return a function that starts a command line in a process of its own, within milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["m3hl.commands.train", "m3hl.training.loop", "torch._dynamo"])

    def run(arguments):
        before, sys.argv = sys.argv, ["m3hl", *arguments]
        process = context.Process(target=main)
        process.start()
        sys.argv = before
        return process

    return run


@pytest.mark.slow
def test_killed_at_random_moments(start, study, tmp_path):
    dataset = study.values["datasets"]["d"]
    config = study.config("datasets.d.training", dataset["training"] | TRAINING[dataset["kind"]])

    def command(folder):
        return study("train", config=config, labeled=1, out=folder, threads=1)

    def digests(folder):
        return [sha256_file(folder / name) for name in FILES]

    start(command(tmp_path / "first")).join()
    begun = time.monotonic()
    start(command(tmp_path / "whole")).join()
    duration = time.monotonic() - begun
    expected = digests(tmp_path / "whole")
    assert digests(tmp_path / "first") == expected

    rng, kills, runs = np.random.default_rng(), 0, 0
    while kills < KILLS:
        folder = tmp_path / f"run{runs}"
        process, runs = start(command(folder)), runs + 1
        while process.join(rng.uniform(0, duration / 2)) is None and process.exitcode is None:
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            kills += 1
            process = start(command(folder))
        assert process.exitcode == 0
        assert digests(folder) == expected, f"run {runs} of {kills} kills"
        assert not list(folder.glob("work/*/*.pt*")), "finished, but checkpoints are left"
