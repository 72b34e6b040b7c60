"""SIGKILL amid ramps, a threshold, a young teacher, two optimisers, a memory: the run ends with the same bits."""

import random
import time
from functools import partial

import numpy as np
import pytest

from m3hl.files.digests import sha256_file
from tests.small_runs import study
from tests.training import everything

METHODS = ("mean-teacher", "ua-mt", "cutmix", "cps", "dtc", "sassnet", "ss-net")
FILES = ("best.pt", "last.pt", "history.csv")
DEATHS = [
    ("Training", "offer", 2, True),  # after four iterations, before what they are is saved
    ("Checkpoints", "save", 1, False),  # after six, as they are saved
]


KILLS = 20


@pytest.fixture
def start(run_settings, make_store, forkserver):
    """Return a function that starts a run of a method in a process of its own, and gives the process."""

    def begin(folder, method, deaths=(), **keys):
        settings = run_settings(method=method, **keys).model_dump(mode="json")
        arguments = settings, study(2).dataset("d"), make_store(), folder, deaths
        process = forkserver.Process(target=everything.run, args=arguments)
        process.start()
        return process

    return begin


def digests(folder):
    return [sha256_file(folder / name) for name in FILES]


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_ends_with_the_same_bits(start, tmp_path, method):
    def run(folder, *deaths):
        process = start(folder, method, deaths)
        process.join()
        return process.exitcode

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(whole) == 0
    assert [run(killed, death) for death in DEATHS] == [-9, -9]
    assert run(killed) == 0
    assert digests(whole) == digests(killed)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sassnet", "ss-net"])
def test_killed_at_twenty_random_moments(start, tmp_path, method):
    run = partial(start, method=method, iterations=24)
    begun = time.monotonic()
    run(tmp_path / "whole").join()
    longest, seed = time.monotonic() - begun, random.SystemRandom().getrandbits(32)
    print(f"moments drawn with seed {seed}")
    rng, met, runs = np.random.default_rng(seed), [], 0
    # Under load a process may die before it begins.
    while len(met) < KILLS or not any(met):
        folder, runs = tmp_path / f"run{runs}", runs + 1
        met += everything.killed_at_random(run, folder, rng, 0.7 * longest)
        assert digests(folder) == digests(tmp_path / "whole"), f"run {runs}"
