"""Checkpoints: two of them, with the state of torch's random numbers; keys that differ are named."""

import contextlib
from pathlib import Path

import pytest
import torch

from m3hl.training import checkpoint
from m3hl.training.checkpoint import Checkpoints, differing, restore_random_state


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, {"settings": {"seed": 1}, "code": "x"}, {"threads": 1})


def test_the_newest_is_loaded_and_the_one_before_is_kept(checkpoints):
    for number in range(3):
        checkpoints.save({"number": number})
    assert checkpoints.load()["number"] == 2
    checkpoints.last.unlink()
    assert checkpoints.load()["number"] == 1
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["identity.json", "previous.pt"]


def test_a_damaged_one_never_takes_the_place_of_a_whole_one(checkpoints, monkeypatch):
    for number in range(2):
        checkpoints.save({"number": number})
    checkpoints.last.write_bytes(b"damaged")
    assert checkpoints.load()["number"] == 0
    # Killed in the next save, before each of its renames.
    replace = Path.replace
    for allowed in range(3):
        renamed = iter(range(allowed))

        def rename(source, target, renamed=renamed):
            if next(renamed, None) is None:
                raise KeyboardInterrupt
            return replace(source, target)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Path, "replace", rename)
            checkpoints.save({"number": 5})
        assert checkpoints.load()["number"] in (0, 5)


def test_where_there_is_none_nothing_is_loaded_or_drawn(checkpoints):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert checkpoints.load() is None
    assert torch.equal(torch.get_rng_state(), before)


def test_random_numbers_go_on_where_they_were(checkpoints):
    torch.manual_seed(3)
    torch.rand(5)
    checkpoints.save({})
    expected = torch.rand(5)
    torch.manual_seed(4)
    restore_random_state(checkpoints.load()["random"])
    assert torch.equal(torch.rand(5), expected)


def test_the_folder_is_named_by_what_the_run_is(tmp_path):
    folders = {
        Checkpoints(tmp_path, identity, {}).folder
        for identity in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}, {"a": 1})
    }
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path}


def test_another_number_of_threads_is_warned_of(checkpoints, tmp_path, caplog):
    checkpoints.save({"number": 1})
    assert checkpoints.load()["number"] == 1
    assert not caplog.records
    assert Checkpoints(tmp_path, checkpoints.identity, {"threads": 2}).load()["number"] == 1
    (warning,) = caplog.messages
    assert warning == f"warning: {checkpoints.last} was written with other threads: the last bits may differ"


def test_discarded_checkpoints_are_gone(checkpoints):
    checkpoints.discard()
    checkpoints.save({})
    checkpoints.save({})
    (checkpoints.folder / ".last.pt.123.part").write_text("half")
    checkpoints.discard()
    assert checkpoints.load() is None
    assert not list(checkpoints.folder.iterdir())


@pytest.mark.parametrize(
    ("ours", "theirs", "keys"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"c": 2}, "a": 1}, ""),
        ({"a": 1, "b": {"c": 2, "d": [3]}}, {"a": 2, "b": {"c": 2, "d": [4]}}, "a, b.d"),
        ({"b": {"c": 2}}, {"b": {"c": 2, "new": 1}}, "b.new"),
        ({"gone": 1}, {}, "gone"),
    ],
)
def test_differing_keys_are_named(ours, theirs, keys):
    assert differing(ours, theirs) == keys


@pytest.fixture
def time_goes_by(monkeypatch):
    """Return a list that holds the time in seconds; it stands still else."""
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    return now


def test_checkpoints_are_written_so_seldom_that_they_take_a_twentieth_of_the_time(
    tmp_path, time_goes_by, monkeypatch
):
    def slow(path, value):
        path.touch()
        time_goes_by[0] += 0.5

    monkeypatch.setattr(checkpoint, "save_tensors", slow)
    checkpoints = Checkpoints(tmp_path, {}, {})
    assert checkpoints.due
    spent = 0.0
    for _ in range(10_000):
        time_goes_by[0] += 0.3
        if checkpoints.due:
            checkpoints.save({})
            spent += 0.5
    assert spent / time_goes_by[0] == pytest.approx(1 / 20, abs=2e-3)
