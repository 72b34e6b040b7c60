"""SIGKILL in the middle of ramps, of a young teacher, and at the border of stages: the same bits in the end."""

import pytest

from m3hl.files.digests import sha256_file
from tests.small_runs import study
from tests.training import everything

DEATHS = [
    ("Training", "offer", 2, True),  # after four iterations, before what they are is saved
    ("Checkpoints", "save", 1, False),  # after six, as they are saved
]
BORDERS = [
    ("Training", "offer", 1, True),  # in stage 1, of which nothing is saved
    ("Checkpoints", "save", 2, False),  # stage 1 has ended, and is saved
    ("Training", "begin", 2, False),  # stage 2 has taken it over, which is not saved
    ("Training", "offer", 1, True),  # in stage 2, before its first checkpoint
    ("Checkpoints", "save", 2, True),  # in stage 2, after it
]
METHODS = {
    "mean-teacher": DEATHS,
    "ua-mt": DEATHS,
    "cutmix": DEATHS,
    "cps": DEATHS,
    "dtc": DEATHS,
    "sassnet": DEATHS,
    "ss-net": DEATHS,
    "mc-net": DEATHS,
    "ad-mt": DEATHS,
    "ps-mt": BORDERS,
    "bcp": BORDERS,
    "abd": BORDERS,
    "omf": BORDERS,
}
MOMENTS = 20
OFTEN = ("sassnet", "ss-net", "ad-mt", "ps-mt", "bcp", "abd", "omf")
"""Killed so often: what has a second optimiser, a memory, teachers who take turns, or two stages."""


@pytest.fixture
def check(make_store, forkserver, tmp_path):
    """Return a function that asserts that a run which is killed again and again ends as one that is not."""

    def run(settings, folder, *deaths):
        arguments = settings.model_dump(mode="json"), study(2).dataset("d"), make_store(), folder, deaths
        process = forkserver.Process(target=everything.run, args=arguments)
        process.start()
        process.join()
        return process.exitcode

    def compare(settings, deaths):
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        assert run(settings, whole) == 0
        assert [run(settings, killed, death) for death in deaths] == [-9] * len(deaths)
        assert run(settings, killed) == 0
        results = [path for path in whole.iterdir() if path.is_file()]
        assert {path.name for path in results} >= {"best.pt", "last.pt", "history.csv", "ended.json"}
        for path in results:
            assert sha256_file(path) == sha256_file(killed / path.name), path.name

    return compare


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_ends_with_the_same_bits(run_settings, check, method):
    check(run_settings(method=method), METHODS[method])


@pytest.mark.slow
@pytest.mark.parametrize("method", OFTEN)
def test_killed_before_and_after_each_iteration(run_settings, check, method):
    # Every process does one iteration, and dies before it is saved or after.
    settings = run_settings(method=method, iterations=MOMENTS // 2 + 2, validate_every=1)
    check(settings, [("Checkpoints", "save", 1, before) for before in (True, False)] * (MOMENTS // 2))
