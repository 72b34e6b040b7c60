"""Twenty kills at random moments: every run still ends with the bits of one that never stopped."""

import random
import sys
import time

import numpy as np
import pytest

from m3hl.cli import main
from m3hl.files.digests import sha256_file
from tests.training.everything import killed_at_random

KILLS = 10
TRAINING = {
    "acdc": {"channels": 2, "iterations": 40, "validate_every": 2},
    "la": {"channels": 2, "iterations": 10, "validate_every": 1},
}
FILES = ("best.pt", "last.pt", "history.csv")


@pytest.fixture
def start(forkserver):
    """Return a function that starts a command line in a process of its own, within milliseconds."""

    def run(arguments):
        before, sys.argv = sys.argv, ["m3hl", *arguments]
        process = forkserver.Process(target=main)
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

    seed = random.SystemRandom().getrandbits(32)
    print(f"moments drawn with seed {seed}")
    rng, kills, resumed, runs = np.random.default_rng(seed), 0, 0, 0
    while kills < KILLS:
        folder = tmp_path / f"run{runs}"
        for last in killed_at_random(lambda run: start(command(run)), folder, rng, duration / 2):
            kills += 1
            resumed += last is not None
        runs += 1
        assert digests(folder) == expected, f"run {runs}, {kills} kills"
        assert not list(folder.glob("work/*/*.pt*")), "finished, but checkpoints are left"
    assert resumed > KILLS / 3
