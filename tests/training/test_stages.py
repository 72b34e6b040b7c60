"""Runs in stages, with a method that takes nearly all that the loop offers."""

import random
import time

import numpy as np
import pytest
import torch

from m3hl import nets
from m3hl.data.batches import Batches
from m3hl.files.digests import sha256_file
from m3hl.files.reading import read_json
from m3hl.files.tensors import load_tensors
from m3hl.inference.weights import Weights
from tests.small_runs import study
from tests.training import everything

KILLS = 20
FILES = ("best.pt", "last.pt", "history.csv", "ended.json")
OPTIONS = {"warm_up": 8, "learning_rate": 0.05}
BORDERS = [
    ("Checkpoints", "save", 4, False),  # the end of stage 1 is saved
    ("Training", "begin", 2, True),  # stage 2 is built, and has taken over nothing
    ("Training", "begin", 2, False),
    ("Checkpoints", "save", 5, True),  # in stage 2, before its first checkpoint
]


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    """Let the package find the method, for one test."""
    for package in (everything.m3hl.config.methods, everything.m3hl.methods):
        monkeypatch.setattr(package, "__path__", package.__path__)
    everything.install()


@pytest.fixture
def settings(run_settings):
    """Return a function that gives the settings of a run of the method."""
    return lambda dimensions=2: run_settings(dimensions, method="everything", options=OPTIONS, iterations=12)


@pytest.fixture
def run(settings, make_store, forkserver):
    """Return a function that trains a run in a process of its own, and gives the process."""

    def start(folder, dimensions=2, deaths=()):
        values = settings(dimensions).model_dump(mode="json"), study(dimensions).dataset("d")
        process = forkserver.Process(target=everything.run, args=(*values, make_store(dimensions), folder, deaths))
        process.start()
        return process

    return start


@pytest.fixture
def whole(run, tmp_path):
    """Return a function that gives the digests of a run that never stopped."""

    def train(dimensions=2):
        folder = tmp_path / f"whole{dimensions}"
        run(folder, dimensions).join()
        return digests(folder)

    return train


def digests(folder):
    return [sha256_file(folder / name) for name in FILES]


def test_each_stage_has_its_length_batches_schedule_and_selection(launch, settings, tmp_path):
    training = launch(settings(), tmp_path)
    rows = training.history.rows
    assert [row["iteration"] for row in rows if "val_student_dice" in row] == [2, 4, 6, 8]
    assert [row["iteration"] for row in rows if "val_both_dice" in row] == [10, 12, 14, 16, 18, 20]
    assert {row["stage"] for row in rows if row["iteration"] <= 8} == {1}
    assert {row["stage"] for row in rows if row["iteration"] > 8} == {2}
    assert {row["learning_rate"] for row in rows if row["stage"] == 1} == {0.05}
    rates = [row["learning_rate"] for row in rows if row["stage"] == 2]
    assert rates == pytest.approx([0.05 * (1 - max(t - 1, 0) / 12) ** 0.9 for t in range(12)])
    (first,) = training.ended
    assert (first["stage"], first["iterations"]) == ("warm-up", 8)
    assert first["selection"]["iteration"] in (2, 4, 6, 8)
    assert set(training.selections) == {"both", "second"}
    assert min(s.iteration for s in training.selections.values()) > 8
    assert training.facts["counts"]["unlabeled_samples"] > 0


def test_what_was_selected_is_handed_over_with_its_momentum(launch, settings, monkeypatch, tmp_path):
    taken = []
    method = everything.m3hl.methods.stages(settings())[1]
    original = method.take_over

    def spy(self, selected, updates):
        original(self, selected, updates)
        state = updates[0].optimizer.state
        momentum = [state[p]["momentum_buffer"].clone() for p in self.second.parameters()]
        taken.append((selected["student"], plain(self.first), plain(self.second), momentum))

    monkeypatch.setattr(method, "take_over", spy)
    training = launch(settings(), tmp_path)
    ((selected, first, second, momentum),) = taken
    # Of the selected iteration, which need not be the last.
    assert training.ended[0]["selection"]["dice"] == max(
        row["val_student_dice"] for row in training.history.rows if "val_student_dice" in row
    )
    assert first == second == {name: value.tolist() for name, value in selected.weights.items()}
    assert all(map(torch.equal, momentum, selected.momentum.values()))
    assert any(value.abs().sum() > 0 for value in momentum)


def plain(network):
    return {name: value.tolist() for name, value in network.state_dict().items()}


def test_the_stages_draw_other_batches(launch, settings, monkeypatch, tmp_path):
    drawn = []
    original = Batches.draw

    def spy(self, iteration):
        batch = original(self, iteration)
        drawn.append((self.stage, batch.iteration, batch.iterations, batch.labeled_images.clone()))
        return batch

    monkeypatch.setattr(Batches, "draw", spy)
    launch(settings(), tmp_path)
    assert [row[:3] for row in drawn] == [(0, t, 8) for t in range(8)] + [(1, t, 12) for t in range(12)]
    assert not torch.equal(drawn[0][3], drawn[8][3])


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_result_may_be_the_mean_of_two(run, whole, tmp_path, dimensions):
    whole(dimensions)
    folder = tmp_path / f"whole{dimensions}"
    both, last = (Weights.load(folder / name) for name in ("best.pt", "last.pt"))
    (second,) = both.others.values()
    assert isinstance(both.network, nets.Ensemble)
    assert not last.others
    assert not isinstance(second.network, nets.Ensemble)
    image = torch.rand(1, 1, *(32,) * dimensions)
    with torch.inference_mode():
        mean = torch.stack([member(image).logits for member in last.network.members]).mean(0)
        assert torch.equal(last.network(image).logits, mean)


@pytest.mark.slow
@pytest.mark.parametrize("death", BORDERS)
def test_killed_at_the_border_of_two_stages(run, whole, tmp_path, death):
    folder, expected = tmp_path / "run", whole()
    process = run(folder, deaths=[death])
    process.join()
    assert process.exitcode == -9
    run(folder).join()
    assert digests(folder) == expected


@pytest.mark.slow
def test_killed_at_random_moments(run, whole, tmp_path):
    expected, begun = whole(), time.monotonic()
    run(tmp_path / "again").join()
    duration = time.monotonic() - begun
    assert digests(tmp_path / "again") == expected
    seed = random.SystemRandom().getrandbits(32)
    print(f"moments drawn with seed {seed}")
    rng, stages, runs = np.random.default_rng(seed), [], 0
    # Under load most kills may come before a stage begins.
    while len(stages) < KILLS or not {0, 1} <= set(stages):
        assert len(stages) < 5 * KILLS
        folder, runs = tmp_path / f"run{runs}", runs + 1
        for last in everything.killed_at_random(run, folder, rng, duration / 2):
            stages.append(load_tensors(last, "checkpoint")["stage"] if last else None)
        assert digests(folder) == expected, f"run {runs}, killed in stages {stages}"
        assert [stage["stage"] for stage in read_json(folder / "ended.json", "record")] == ["warm-up"]
    assert {0, 1} <= set(stages)
