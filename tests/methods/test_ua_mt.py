"""UA-MT: the released steps, the equations, and which of the teacher's passes is what."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.data.batches import Batch
from m3hl.methods import ua_mt
from m3hl.methods.parts.optimization import learning_rate
from tests.methods.lineage import (
    assert_published,
    ce_and_dice,
    check_losses,
    check_ramp_and_decay,
    check_steps,
    close,
    keep,
    say,
    scale_head,
    settings_maker,
    softmax,
    watch,
)

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

    return settings_maker(make_settings, "ua-mt")


def row_of(expected):
    """Return a released row under the names that a method logs."""
    return expected | {"mask_share": expected["mask_mean"], "uncertainty": expected["uncertainty_mean"]}


def test_schedules_are_the_released_ones(expected, make_settings):
    check_ramp_and_decay(expected)
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
    base, own, noise_s, noise_t = (random.standard_normal((n, classes, *shape)) for n in (count, 2, count, count))
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
    assert [found[0].min().item(), found[0].max().item()] == pytest.approx(
        [row["uncertainty_min"], row["uncertainty_max"]], rel=1e-4, abs=1e-6
    )
    mask = found[0].numpy() < losses["threshold"].item()
    np.testing.assert_array_equal(mask, expected[f"{name}_mask"])
    assert mask.sum() == row["mask_voxels"]
    expected.check(f"{name}_loss_grad", gradients["loss"])


def single(values):
    """Return numbers in single precision."""
    return torch.from_numpy(values.astype(np.float32))


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "steps3d")) for n in STEPS])
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


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    ("options", "counted", "divisor", "copies"),
    [
        ({}, 2, 2, 2),
        ({"class_count": "all"}, "all", "all", 2),
        ({"normalizer": "voxels"}, 2, 1, 2),
        ({"consistency_samples": "all"}, 2, 2, 4),
    ],
)
def test_a_step_is_the_equations(make_settings, make_batch, dimensions, options, counted, divisor, copies):
    settings = make_settings(dimensions, method="ua-mt", consistency_weight=3.0, **options)
    method = methods.build(settings).train()
    # A sharper head, so that the mask is neither empty nor full.
    scale_head(method.teacher, 4 if dimensions == 2 and counted == "all" else 12)
    batch = replace(make_batch(settings), iteration=1700, iterations=3000)
    students, teachers = watch(method.student), watch(method.teacher)
    losses = {name: value.item() for name, value in method.losses(batch).items()}

    ((_, student),), (first, *passes) = students, teachers
    student, target = student.detach().double().numpy()[-copies:], first[1].double().numpy()
    images = np.concatenate([batch.labeled_images, batch.unlabeled_images])[-copies:]
    assert [len(seen) for seen, _ in teachers] == [copies] + 4 * [2 * copies]
    noises = [seen[k : k + copies] - images for seen, _ in teachers for k in range(0, len(seen), copies)]
    assert len({noise.tobytes() for noise in noises}) == 9
    assert all(np.abs(noise).max() == pytest.approx(0.2, abs=1e-6) for noise in noises)

    classes = student.shape[1]
    counted, divisor = (classes if number == "all" else number for number in (counted, divisor))
    predictions = [softmax(out.double().numpy()[k : k + copies]) for _, out in passes for k in (0, copies)]
    mean = np.mean(predictions, axis=0)
    uncertainty = -(mean * np.log(mean + 1e-6)).sum(1)
    threshold = (3 / 4 + np.exp(-5 * (1 - 1700 / 3000) ** 2) / 4) * np.log(counted)
    mask = uncertainty < threshold
    assert 0.01 < mask.mean() < 0.99
    difference = ((softmax(student) - softmax(target)) ** 2).sum(1)
    consistency = (mask * difference).sum() / (divisor * mask.sum())
    supervised = ce_and_dice(
        students[0][1].detach().double().numpy()[:2], batch.labels.numpy(), background=dimensions == 2
    )
    length = {2: 200, 3: 40}[dimensions]
    weight = 3 * np.exp(-5 * (1 - 11 / length) ** 2)
    expected = {
        "supervised": supervised,
        "consistency": consistency,
        "mask_share": mask.mean(),
        "threshold": threshold,
        "uncertainty": uncertainty.mean(),
        "weight": weight,
        "loss": supervised + weight * consistency,
    }
    assert losses == pytest.approx(expected, rel=1e-4)


def test_where_nothing_is_certain_nothing_is_learned_from_unlabeled_images(make_settings, make_batch):
    settings = make_settings(2, method="ua-mt")
    method = methods.build(settings).train()
    scale_head(method.teacher, 0)
    losses = method.losses(make_batch(settings))
    assert losses["consistency"].item() == losses["mask_share"].item() == 0
    assert losses["uncertainty"].item() == pytest.approx(np.log(4), rel=1e-4)
    losses["loss"].backward()
    assert all(p.grad.isfinite().all() for p in method.student.parameters())
    assert all(p.grad is None for p in method.teacher.parameters())


def test_more_passes_are_more_predictions(make_settings, make_batch):
    settings = make_settings(2, method="ua-mt", monte_carlo_passes=1)
    method = methods.build(settings).train()
    passes = watch(method.teacher)
    method.losses(make_batch(settings))
    assert [len(seen) for seen, _ in passes] == [2, 4]


BOTH = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "consistency_weight": 0.1, "ramp_step": 150,
    "consistency_start": 0, "consistency_samples": "unlabeled", "noise": 0.1, "noise_limit": 0.2,
    "ema_decay": 0.99, "result": "student", "monte_carlo_passes": 4, "class_count": "two",
    "normalizer": "voxels_and_classes",
}  # fmt: skip
ACDC = BOTH | {
    "learning_rate_power": 0.9, "learning_rate_lag": True, "learning_rate_decay_every": None,
    "dice_background": True, "ramp_length": 200,
}  # fmt: skip
LA = BOTH | {
    "learning_rate_power": None, "learning_rate_lag": False, "learning_rate_decay_every": 2500,
    "dice_background": False, "ramp_length": 40,
}  # fmt: skip
PAPER = {"consistency_samples": "all", "normalizer": "voxels", "ramp_length": None, "ramp_step": 1}


def test_presets_are_as_the_page_says():
    assert_published("ua-mt", "acdc", ACDC, (12, 12, 30_000))
    assert_published("ua-mt", "la", LA, (2, 2, 6000))
    assert_published("ua-mt", "acdc", ACDC | PAPER, (12, 12, 30_000), preset="paper")
    assert_published("ua-mt", "la", LA | PAPER, (2, 2, 6000), preset="paper")
