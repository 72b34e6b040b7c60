"""UA-MT: the released steps, the equations, and which of the teacher's passes is what."""

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.data.batches import Batch
from m3hl.methods import ua_mt
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.schedules import gaussian_ramp, warm_up_decay
from tests.methods.lineage import check_losses, check_steps, close, keep, say

SHAPES = {2: (32, 32), 3: (16, 16, 12)}
STEPS = {"steps2d": (2, 83), "steps3d": (3, 84)}
LOGGED = ("mask_share", "threshold", "uncertainty")


@pytest.fixture
def expected(released):
    """Return the numbers of the released code."""
    return released("ua-mt")


@pytest.fixture
def make(make_settings):
    """Return a function that makes the settings of a run that the fixtures describe."""

    def settings(dimensions, expected, weight, **more):
        options = {"ramp_length": int(expected["ramp_length"]), "consistency_weight": weight}
        return make_settings(dimensions, method="ua-mt", **options | more)

    return settings


def row_of(expected):
    """Return a released row under the names that a method logs."""
    return expected | {"mask_share": expected["mask_mean"], "uncertainty": expected["uncertainty_mean"]}


def test_schedules_are_the_released_ones(expected, make_settings):
    for row in expected["consistency_weight"]:
        ramp = gaussian_ramp(row["iteration"], int(row["ramp_length"]), every=150)
        assert row["max"] * ramp == close(row["weight"], 1e-9)
    for row in expected["ema_decay"]:
        assert warm_up_decay(row["iteration"], 0.99) == close(row["decay"], 1e-6)
    for dimensions in (2, 3):
        method = methods.build(make_settings(dimensions, method="ua-mt"))
        for row in expected["threshold"]:
            batch = Batch(*[torch.empty(0)] * 3, None, row["iteration"], row["iterations"])
            assert method.threshold(batch) == close(row["threshold"], 1e-9)
        for row in expected[f"learning_rate_{dimensions}d"]:
            rate = learning_rate(method.options, row["iteration"], row.get("iterations", 6000))
            assert rate == close(row["learning_rate"], 1e-9)


@pytest.mark.parametrize("name", ["loss2d", "loss3d", "loss3d_all"])
def test_losses_and_their_gradients_are_the_released_ones(expected, make, monkeypatch, name):
    row, dimensions = expected[name], int(name[4])
    shape, everything = SHAPES[dimensions], name.endswith("all")
    count, random = 4 if everything else 2, np.random.RandomState(expected["seed"] + 41)
    classes = {2: 4, 3: 2}[dimensions]
    base, own, noise_s, noise_t = (
        random.standard_normal((n, classes, *shape)) for n in (count, 2, count, count)
    )
    noise_mc = random.standard_normal((8, count, classes, *shape))
    first = random.randint(0, 4, shape) if dimensions == 2 else random.randint(0, 2, shape)
    second = random.randint(0, 2, shape) if dimensions == 2 else random.rand(*shape) < 0.1
    followed = 3 * base + noise_s
    student = single(followed if everything else np.concatenate([2 * own, followed])).requires_grad_()
    pairs = [single(np.concatenate(3 * base + noise_mc[k : k + 2])) for k in range(0, 8, 2)]

    options = {"consistency_samples": "all"} if everything else {}
    method, batch = say(
        make(dimensions, row, row["max"], **options),
        student,
        [single(3 * base + noise_t), *pairs],
        torch.from_numpy(np.stack([first, second]).astype(int)),
        iteration=row["iteration"],
        iterations=row["iterations"],
    )
    found = []
    keep(monkeypatch, ua_mt, "entropy", found.append)
    losses, gradients = check_losses(monkeypatch, method, batch, student, row_of(row), LOGGED)
    expected.check(f"{name}_uncertainty", found[0])
    mask = found[0].numpy() < losses["threshold"].item()
    np.testing.assert_array_equal(mask, expected[f"{name}_mask"])
    assert mask.sum() == row["mask_voxels"]
    expected.check(f"{name}_loss_grad", gradients["loss"])


def single(values):
    """Return numbers in single precision."""
    return torch.from_numpy(values.astype(np.float32))


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_the_released_ones(reference, expected, make, monkeypatch, name):
    dimensions, factor = STEPS[name]
    rows, crop = expected[name], {2: (64, 64), 3: (32, 32, 32)}[dimensions]

    def draw(k):
        random = np.random.RandomState(expected["seed"] * factor + k)
        shape = (4, 1, *crop)
        images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
        labels = random.randint(0, {2: 4, 3: 2}[dimensions], (2, *crop))
        return images, labels, *(random.standard_normal((n, 1, *crop)) for n in (2, 4, 4, 4, 4))

    method = methods.build(make(dimensions, rows, rows["consistency"], crop=crop, channels=16))
    rows = rows | {"steps": [row_of(row) for row in rows["steps"]]}
    check_steps(monkeypatch, reference, expected["seed"], method, rows, draw, LOGGED)
