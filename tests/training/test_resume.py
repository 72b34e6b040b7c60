"""An interrupted run ends with the same bits as one that never stopped."""

import os
import signal
from pathlib import Path

import pytest
import torch

from m3hl.errors import UserError
from m3hl.files.tensors import load_tensors, save_tensors
from m3hl.training import checkpoint, loop, validation

CASES = [
    *((2, name) for name in ("m3hl", "supervised", "cutmix", "cps", "ua-mt", "sassnet", "ad-mt", "mc-net")),
    *((3, name) for name in ("m3hl", "mean-teacher", "dtc", "ss-net")),
]


class Stopped(Exception):
    """The power went out."""


@pytest.fixture(scope="module")
def whole(launch, run_settings, tmp_path_factory, bits):
    """Return a function that gives the bits of a run that never stopped."""
    ends = {}

    def end(dimensions, method):
        if (dimensions, method) not in ends:
            training = launch(run_settings(dimensions, method=method), tmp_path_factory.mktemp("whole"))
            ends[dimensions, method] = bits(training)
        return ends[dimensions, method]

    return end


@pytest.fixture
def watch(monkeypatch):
    """Return a function that counts the calls of `module.name` until it is undone, and fails at number `at`."""

    def make(module, name, at=None):
        original, calls = getattr(module, name), []

        def watched(*arguments, **options):
            calls.append(name)
            if len(calls) == at:
                raise Stopped
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, watched)
        return calls, lambda: monkeypatch.setattr(module, name, original)

    return make


@pytest.fixture
def interrupt(launch, watch, tmp_path):
    """Return a function that starts a run, which fails at some call, and gives its work folder."""

    def start(settings, at, module=loop, name="step"):
        _, undo = watch(module, name, at)
        with pytest.raises(Stopped):
            launch(settings, tmp_path)
        undo()
        return tmp_path

    return start


@pytest.mark.parametrize(("at", "saved"), [(1, 0), (2, 0), (3, 2), (4, 2), (6, 4)])
def test_a_stopped_run_goes_on_from_its_last_checkpoint(
    launch, run_settings, bits, whole, interrupt, watch, at, saved
):
    # Every method ends so with the same bits: tests/methods/test_held.py.
    expected, settings = whole(2, "m3hl"), run_settings(method="m3hl")
    work = interrupt(settings, at)
    torch.manual_seed(99)
    steps, _ = watch(loop, "step")
    assert bits(launch(settings, work)) == expected
    assert len(steps) == 6 - saved


def test_a_run_may_be_stopped_again_and_again(launch, run_settings, bits, whole, interrupt):
    settings = run_settings(method="m3hl")
    for _ in range(3):
        work = interrupt(settings, 2, loop.Progress, "update")
    assert bits(launch(settings, work)) == whole(2, "m3hl")


@pytest.fixture
def signalled(launch, monkeypatch, tmp_path):
    """Return a function that starts a run, sends a signal at some call of `module.name`, and gives the message."""

    def start(settings, number, at, module, name):
        original, calls = getattr(module, name), []

        def watched(*arguments):
            calls.append(name)
            if len(calls) == at:
                os.kill(os.getpid(), number)
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, watched)
            with pytest.raises(UserError) as error:
                launch(settings, tmp_path)
        return str(error.value)

    return start


@pytest.mark.parametrize(("dimensions", "method"), CASES)
@pytest.mark.parametrize(
    ("number", "at", "iteration"), [(signal.SIGTERM, 1, 1), (signal.SIGUSR1, 3, 3), (signal.SIGINT, 5, 5)]
)
def test_a_signal_saves_the_run_after_the_step_that_it_meets(
    launch, run_settings, bits, whole, signalled, watch, tmp_path, dimensions, method, number, at, iteration
):
    settings, before = run_settings(dimensions, method=method), signal.getsignal(number)
    expected = whole(dimensions, method)
    message = signalled(settings, number, at, loop, "step")
    assert message == f"{number.name} at iteration {iteration}: saved; the same command goes on from there"
    assert signal.getsignal(number) is before
    steps, _ = watch(loop, "step")
    training = launch(settings, tmp_path)
    assert bits(training) == expected
    assert training.resumed_at == [iteration]
    assert len(steps) == 6 - iteration


def test_a_signal_between_two_rows_of_the_learning_curve(launch, run_settings, bits, signalled, tmp_path):
    settings = run_settings(method="m3hl", iterations=24, validate_every=20)
    expected = bits(launch(settings, tmp_path / "whole"))
    # Rows are written every four iterations.
    assert signalled(settings, signal.SIGTERM, 7, loop, "step").startswith("SIGTERM at iteration 7: saved")
    training = launch(settings, tmp_path)
    assert bits(training) == expected
    assert training.resumed_at == [7]


@pytest.mark.parametrize("at", [1, 3, 9])
def test_a_signal_while_validating_repeats_the_validation(
    launch, run_settings, bits, whole, signalled, watch, tmp_path, at
):
    # Of 2 networks and 2 cases each: calls 1 to 4 after iteration 2, 5 to 8 after 4, 9 to 12 after 6.
    settings, expected = run_settings(method="m3hl"), whole(2, "m3hl")
    iteration = {1: 2, 3: 2, 9: 6}[at]
    message = signalled(settings, signal.SIGTERM, at, validation, "mean_dice")
    assert message.startswith(f"SIGTERM at iteration {iteration}: saved")
    steps, _ = watch(loop, "step")
    assert bits(launch(settings, tmp_path)) == expected
    assert len(steps) == 6 - iteration


def test_a_signal_before_the_first_step_leaves_nothing_to_go_on_from(
    launch, run_settings, bits, whole, signalled, tmp_path
):
    settings = run_settings(method="m3hl")
    message = signalled(settings, signal.SIGTERM, 1, loop, "load_batches")
    assert message == "SIGTERM at iteration 0: saved; the same command goes on from there"
    assert not list(tmp_path.glob("*/last.pt"))
    training = launch(settings, tmp_path)
    assert bits(training) == whole(2, "m3hl")
    assert training.resumed_at == []


def test_a_signal_in_the_last_case_comes_too_late(launch, run_settings, bits, whole, monkeypatch, tmp_path):
    expected, calls, original = whole(2, "m3hl"), [], validation.mean_dice

    def watched(*arguments):
        calls.append(1)
        if len(calls) == 12:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(validation, "mean_dice", watched)
    assert bits(launch(run_settings(method="m3hl"), tmp_path)) == expected


@pytest.mark.parametrize(("at", "name"), [(1, "write_json"), (1, "save_tensors"), (2, "save_tensors")])
def test_a_run_that_stops_while_it_writes_a_checkpoint(
    launch, run_settings, bits, whole, interrupt, at, name, caplog
):
    settings = run_settings(method="m3hl")
    work = interrupt(settings, at, checkpoint, name)
    assert bits(launch(settings, work)) == whole(2, "m3hl")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_run_that_had_ended_is_not_trained_again(launch, run_settings, bits, watch, tmp_path):
    settings = run_settings(method="m3hl")
    expected = bits(launch(settings, tmp_path))
    steps, _ = watch(loop, "step")
    assert bits(launch(settings, tmp_path)) == expected
    assert not steps


def test_the_time_of_both_attempts_counts(launch, run_settings, interrupt):
    settings = run_settings()
    (last,) = interrupt(settings, 4).glob("*/last.pt")
    save_tensors(last, load_tensors(last, "checkpoint") | {"seconds": 1000.0})
    assert 1000 < launch(settings, last.parents[1]).seconds < 1100


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    # In the middle there are weights: torch itself would load them.
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def write_other_file(path):
    save_tensors(path, {"format": "something else"})


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (truncate, "is damaged or no checkpoint"),
        (flip_a_bit, "its content differs from its digest"),
        (write_other_file, "this is no checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    launch, run_settings, bits, whole, interrupt, watch, caplog, spoil, problem
):
    expected, settings = whole(2, "m3hl"), run_settings(method="m3hl")
    (last,) = interrupt(settings, 6).glob("*/last.pt")
    spoil(last)
    steps, _ = watch(loop, "step")
    assert bits(launch(settings, last.parents[1])) == expected
    assert len(steps) == 4
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert str(last) in warning.message
    assert problem in warning.message
    assert "going on from an older one" in warning.message


def test_without_any_whole_checkpoint_a_run_starts_anew(launch, run_settings, bits, whole, interrupt, caplog):
    settings = run_settings(method="m3hl")
    work = interrupt(settings, 6)
    for path in work.glob("*/*.pt"):
        truncate(path)
    assert bits(launch(settings, work)) == whole(2, "m3hl")
    assert [r.levelname for r in caplog.records].count("WARNING") == 2


def test_an_edited_run_starts_anew_says_why_and_leaves_the_old_one_alone(
    launch, run_settings, bits, whole, interrupt, watch, caplog
):
    expected, settings = whole(2, "m3hl"), run_settings(method="m3hl")
    work = interrupt(settings, 6)
    (folder,) = work.iterdir()
    edited = run_settings(method="m3hl", options={"mask_ratio": 0.25}, seed=6)
    with caplog.at_level("INFO"):
        training = launch(edited, work, code="other")
    assert training.iteration == 6
    (message,) = (message for message in caplog.messages if "not taken up" in message)
    assert message.startswith(f"{folder}: not taken up")
    assert "other code, settings.options.mask_ratio, settings.seed;" in message
    steps, _ = watch(loop, "step")
    assert bits(launch(settings, work)) == expected
    assert len(steps) == 2


def test_a_neighbour_that_cannot_be_read_is_no_obstacle(launch, run_settings, interrupt, caplog):
    work = interrupt(run_settings(), 6)
    next(work.glob("*/identity.json")).write_text("{")
    with caplog.at_level("INFO"):
        assert launch(run_settings(seed=6), work).iteration == 6
    assert "not taken up" in caplog.text


def test_other_data_are_another_run(launch, run_settings, make_store, interrupt, caplog):
    settings = run_settings()
    work = interrupt(settings, 6)
    with caplog.at_level("INFO"):
        launch(settings, work, store=make_store(train=5))
    assert "is of a run with other store;" in caplog.text


def test_a_checkpoint_that_was_put_in_place_of_anothers_is_refused(launch, run_settings, interrupt, tmp_path):
    settings = run_settings()
    (last,) = interrupt(settings, 4).glob("*/last.pt")
    state = load_tensors(last, "checkpoint")
    state["identity"]["settings"]["seed"] = 6
    save_tensors(last, state)
    with pytest.raises(UserError, match=r"last\.pt: .* a run with other settings\.seed; delete it, or restore"):
        launch(settings, tmp_path)


def test_finished_work_is_discarded(launch, run_settings, tmp_path):
    training = launch(run_settings(), tmp_path)
    training.checkpoints.discard()
    assert [path.name for path in Path(training.checkpoints.folder).iterdir()] == ["tensorboard"]
