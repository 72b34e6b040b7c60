"""SIGKILL in the middle of ramps, of a young teacher, and at the border of stages: the same bits in the end."""

import pytest

from m3hl.files.digests import sha256_file
from tests.small_runs import study
from tests.training import everything

METHODS = (
    "mean-teacher",
    "ua-mt",
    "cutmix",
    "cps",
    "dtc",
)
DEATHS = [
    ("Training", "offer", 2, True),  # after four iterations, before what they are is saved
    ("Checkpoints", "save", 1, False),  # after six, as they are saved
]
STAGED = ("bcp", "abd", "omf")
BORDERS = [
    ("Training", "offer", 1, True),  # in stage 1, of which nothing is saved
    ("Checkpoints", "save", 2, False),  # stage 1 has ended, and is saved
    ("Training", "begin", 2, False),  # stage 2 has taken it over, which is not saved
    ("Training", "offer", 1, True),  # in stage 2, before its first checkpoint
    ("Checkpoints", "save", 2, True),  # in stage 2, after it
]


@pytest.mark.parametrize(("method", "deaths"), [*((m, DEATHS) for m in METHODS), *((m, BORDERS) for m in STAGED)])
def test_a_killed_run_ends_with_the_same_bits(run_settings, make_store, forkserver, tmp_path, method, deaths):
    settings = run_settings(method=method).model_dump(mode="json")
    dataset, store = study(2).dataset("d"), make_store()

    def run(folder, *deaths):
        process = forkserver.Process(target=everything.run, args=(settings, dataset, store, folder, deaths))
        process.start()
        process.join()
        return process.exitcode

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(whole) == 0
    assert [run(killed, death) for death in deaths] == [-9] * len(deaths)
    assert run(killed) == 0
    results = [path for path in whole.iterdir() if path.is_file()]
    assert {path.name for path in results} >= {"best.pt", "last.pt", "history.csv", "ended.json"}
    for path in results:
        assert sha256_file(path) == sha256_file(killed / path.name), path.name
