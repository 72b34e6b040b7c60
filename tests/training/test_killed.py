"""SIGKILL in the middle of ramps, of a threshold and of a young teacher: the run ends with the same bits."""

import pytest

from m3hl.files.digests import sha256_file
from tests.small_runs import study
from tests.training import everything

METHODS = ("mean-teacher", "ua-mt", "cutmix", "cps", "dtc")
FILES = ("best.pt", "last.pt", "history.csv")
DEATHS = [
    ("Training", "offer", 2, True),  # after four iterations, before what they are is saved
    ("Checkpoints", "save", 1, False),  # after six, as they are saved
]


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_ends_with_the_same_bits(run_settings, make_store, forkserver, tmp_path, method):
    settings = run_settings(method=method).model_dump(mode="json")
    dataset, store = study(2).dataset("d"), make_store()

    def run(folder, *deaths):
        process = forkserver.Process(target=everything.run, args=(settings, dataset, store, folder, deaths))
        process.start()
        process.join()
        return process.exitcode

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(whole) == 0
    assert [run(killed, death) for death in DEATHS] == [-9, -9]
    assert run(killed) == 0
    for name in FILES:
        assert sha256_file(whole / name) == sha256_file(killed / name), name
