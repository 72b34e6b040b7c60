"""SIGKILL in the middle of ramps, of a threshold and of a young teacher: the run ends with the same bits."""

import pytest

from m3hl.files.digests import sha256_file
from tests.small_runs import study
from tests.training import everything

MOMENTS = 20
TURNS = ("ad-mt", "ps-mt")
METHODS = ("mean-teacher", "ua-mt", "cutmix", "cps", "ad-mt", "ps-mt")
FILES = ("best.pt", "last.pt", "history.csv")
DEATHS = [
    ("Training", "offer", 2, True),  # after four iterations, before what they are is saved
    ("Checkpoints", "save", 1, False),  # after six, as they are saved
]


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
        for name in FILES:
            assert sha256_file(whole / name) == sha256_file(killed / name), name

    return compare


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_ends_with_the_same_bits(run_settings, check, method):
    check(run_settings(method=method), DEATHS)


@pytest.mark.slow
@pytest.mark.parametrize("method", TURNS)
def test_killed_before_and_after_each_iteration_while_teachers_take_turns(run_settings, check, method):
    # Every process does one iteration, and dies before it is saved or after.
    settings = run_settings(method=method, iterations=MOMENTS // 2 + 2, validate_every=1)
    check(settings, [("Checkpoints", "save", 1, before) for before in (True, False)] * (MOMENTS // 2))
