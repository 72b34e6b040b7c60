"""The plain mean teacher: the released steps, the equations, and which image goes where."""

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.schedules import gaussian_ramp, warm_up_decay
from tests.methods.lineage import check_losses, check_steps, close, say

SHAPES = {2: (32, 32), 3: (16, 16, 12)}
LOSS_ROWS = [("loss2d", row) for row in range(3)] + [("loss3d", row) for row in range(2)]
STEPS = {"steps2d_start": (2, 80), "steps2d": (2, 81), "steps3d": (3, 82)}


@pytest.fixture
def expected(released):
    """Return the numbers of the released code."""
    return released("mean-teacher")


@pytest.fixture
def make(make_settings):
    """Return a function that makes the settings of a run that the fixtures describe."""

    def settings(dimensions, expected, weight, **more):
        options = {"ramp_length": int(expected["ramp_length"]), "consistency_weight": weight}
        return make_settings(dimensions, method="mean-teacher", **options, **more)

    return settings


def test_ramp_decay_and_learning_rate_are_the_released_ones(expected, make_settings):
    for row in expected["consistency_weight"]:
        ramp = gaussian_ramp(row["iteration"], int(row["ramp_length"]), every=150)
        assert row["max"] * ramp == close(row["weight"], 1e-9)
    for row in expected["ema_decay"]:
        assert warm_up_decay(row["iteration"], 0.99) == close(row["decay"], 1e-6)
    for dimensions in (2, 3):
        options = make_settings(dimensions, method="mean-teacher").options
        for row in expected["learning_rate"]:
            rate = learning_rate(options, row["iteration"], row["iterations"])
            assert rate == close(row["learning_rate"], 1e-9)


@pytest.mark.parametrize(("name", "number"), LOSS_ROWS)
def test_losses_and_their_gradients_are_the_released_ones(expected, make, monkeypatch, name, number):
    rows, dimensions = expected[name], int(name[4])
    row, shape = rows[number], SHAPES[dimensions]
    logits, taught = (random_logits(expected, dimensions, *of) for of in ((31, 5), (32, 3)))
    labels = np.random.RandomState(expected["seed"] + 33)
    chosen = labels.randint(0, 4, shape) if dimensions == 2 else None
    second = labels.randint(0, 2, shape)
    targets = [chosen, second] if dimensions == 2 else [second, labels.rand(*shape) < 0.1]
    settings = make(dimensions, row, row["max"])
    method, batch = say(
        settings, logits, [taught], torch.from_numpy(np.stack(targets).astype(int)),
        iteration=row["iteration"], iterations=30_000,
    )  # fmt: skip
    losses, gradients = check_losses(monkeypatch, method, batch, logits, row)
    assert losses["weight"].item() == close(row["weight"], 1e-6)
    for term in ("supervised", "consistency") if number == len(rows) - 1 else ():
        expected.check(f"{name}_{term}_grad", gradients[term])


def random_logits(expected, dimensions, seed, count):
    noise = np.random.RandomState(expected["seed"] + seed)
    values = 2 * noise.standard_normal((count, {2: 4, 3: 2}[dimensions], *SHAPES[dimensions]))
    return torch.from_numpy(values.astype(np.float32)).requires_grad_()


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_the_released_ones(reference, expected, make, monkeypatch, name):
    dimensions, factor = STEPS[name]
    rows, crop = expected[name], {2: (64, 64), 3: (32, 32, 32)}[dimensions]

    def draw(k):
        random = np.random.RandomState(expected["seed"] * factor + k)
        shape = (4, 1, *crop)
        images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
        labels = random.randint(0, {2: 4, 3: 2}[dimensions], (2, *crop))
        return images, labels, random.standard_normal((2, 1, *crop))

    method = methods.build(make(dimensions, rows, rows["consistency"], crop=crop, channels=16))
    check_steps(monkeypatch, reference, expected["seed"], method, rows, draw)
