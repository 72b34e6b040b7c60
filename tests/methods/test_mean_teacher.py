"""The plain mean teacher: the released steps, the equations, and which image goes where."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3hl import methods, nets
from m3hl.methods.parts.optimization import learning_rate
from tests.methods.lineage import (
    assert_published,
    ce_and_dice,
    check_losses,
    check_ramp_and_decay,
    check_steps,
    close,
    say,
    settings_maker,
    softmax,
    watch,
)

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

    return settings_maker(make_settings, "mean-teacher")


def test_ramp_decay_and_learning_rate_are_the_released_ones(expected, make_settings):
    check_ramp_and_decay(expected)
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


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "steps3d")) for n in STEPS])
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
    after = rows["first_iteration"] + len(rows["steps"])
    assert learning_rate(method.options, after, rows["iterations"]) == close(rows["next_learning_rate"], 1e-9)


@pytest.fixture
def pass_once(make_settings, make_batch):
    """Return a function that makes a batch's losses, with all that either network saw and said."""

    def run(dimensions, t=2000, change=lambda batch: batch, **options):
        torch.manual_seed(0)
        settings = make_settings(dimensions, method="mean-teacher", **options)
        method, batch = methods.build(settings).train(), make_batch(settings)
        batch = change(replace(batch, iteration=t, iterations=3000))
        seen = watch(method.student), watch(method.teacher)
        return method, batch, *seen, method.losses(batch)

    return run


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("background", "samples"), [(True, "unlabeled"), (False, "all")])
def test_a_step_is_the_equations(pass_once, dimensions, background, samples):
    _, batch, students, teachers, losses = pass_once(
        dimensions, dice_background=background, consistency_samples=samples, consistency_weight=3.0, ramp_length=20
    )
    ((seen, student),), ((noisy, teacher),) = students, teachers
    images = np.concatenate([batch.labeled_images, batch.unlabeled_images])
    np.testing.assert_array_equal(seen, images)
    compared = slice(0 if samples == "all" else 2, None)
    noise = noisy - images[compared]
    assert np.abs(noise).max() == pytest.approx(0.2, abs=1e-6)
    assert np.abs(noise).std() > 0.05
    assert abs(np.corrcoef(noise[0].flat, noise[1].flat)[0, 1]) < 0.2

    student, teacher = student.detach().double().numpy(), teacher.double().numpy()
    supervised = ce_and_dice(student[:2], batch.labels.numpy(), background=background)
    consistency = ((softmax(student[compared]) - softmax(teacher)) ** 2).mean()
    weight = 3 * np.exp(-5 * (1 - 13 / 20) ** 2)  # 2000 iterations are 13 times 150
    expected = {"supervised": supervised, "consistency": consistency, "weight": weight}
    expected["loss"] = supervised + weight * consistency
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("field", ["labeled_images", "labels"])
def test_labels_that_are_exchanged_change_their_loss_alone(make_settings, make_batch, field):
    settings = make_settings(2, method="mean-teacher")
    batch, logits = replace(make_batch(settings), iteration=2000), torch.randn(4, 4, 32, 32)

    def losses(batch):
        method = methods.build(settings)
        method.student = method.teacher = Follows(logits)
        return method.losses(batch)

    rolled = replace(batch, rng=np.random.default_rng(0), **{field: getattr(batch, field).roll(1, 0)})
    before, after = losses(replace(batch, rng=np.random.default_rng(0))), losses(rolled)
    assert abs(before["supervised"].item() - after["supervised"].item()) > 1e-5
    assert before["consistency"].item() == after["consistency"].item()


class Follows(torch.nn.Module):
    """A network whose logits are an image times those of its place in the batch."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, images):
        logits = self.logits[: len(images)] * images
        return nets.Output(logits, logits, logits, logits, logits)


def test_labeled_and_unlabeled_images_are_not_exchanged(pass_once):
    def exchange(batch):
        return replace(batch, labeled_images=batch.unlabeled_images, unlabeled_images=batch.labeled_images)

    one, other = pass_once(2), pass_once(2, change=exchange)
    assert not np.array_equal(one[3][0][0], other[3][0][0])
    assert one[4]["supervised"].item() != pytest.approx(other[4]["supervised"].item(), rel=1e-4)


def test_before_its_start_the_consistency_is_nothing_but_the_teacher_passes(pass_once):
    for t, counts in ((999, False), (1000, True)):
        method, _, students, teachers, losses = pass_once(2, t=t)
        assert (losses["consistency"].item() > 0) == counts
        assert len(students) == len(teachers) == 1
        assert any(b.abs().sum() > 0 for name, b in method.teacher.named_buffers() if name.endswith("mean"))
        losses["loss"].backward()
        assert all(p.grad is None for p in method.teacher.parameters())


def test_noise_is_a_function_of_the_iterations_generator(pass_once):
    noises = [pass_once(2, change=lambda b, s=s: replace(b, rng=np.random.default_rng(s)))[3] for s in (3, 3, 4)]
    (one,), (same,), (other,) = noises
    np.testing.assert_array_equal(one[0], same[0])
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize(("option", "largest"), [({"noise": 0.0}, 0), ({"noise_limit": 0.05}, 0.05)])
def test_the_noise_is_as_large_as_it_is_set(pass_once, option, largest):
    _, batch, _, teachers, _ = pass_once(2, **option)
    assert np.abs(teachers[0][0] - batch.unlabeled_images.numpy()).max() == pytest.approx(largest, abs=1e-6)


def test_a_ramp_may_be_as_long_as_the_run_or_absent(make_settings, make_batch):
    def weight(t, **options):
        settings = make_settings(2, method="mean-teacher", **options)
        batch = replace(make_batch(settings), iteration=t, iterations=1500)
        return methods.build(settings).weight(batch)

    assert weight(750, ramp_length=None) == pytest.approx(0.1 * np.exp(-5 / 4))
    assert weight(760, ramp_length=None) == weight(750, ramp_length=None)
    assert weight(760, ramp_length=None, ramp_step=1) > weight(750, ramp_length=None, ramp_step=1)
    assert weight(0, ramp_length=0) == 0.1


def test_the_result_is_the_student_unless_it_shall_be_the_teacher(make_settings):
    for result in ("student", "teacher"):
        method = methods.build(make_settings(2, method="mean-teacher", result=result))
        assert list(method.results()) == [result]
        assert next(iter(method.networks())) == result
        assert set(method.networks()) == {"student", "teacher"}
        assert method.results()[result] is getattr(method, result)


def test_presets_are_as_the_page_says():
    both = {
        "learning_rate": 0.01, "learning_rate_power": 0.9, "learning_rate_lag": True,
        "momentum": 0.9,
        "learning_rate_decay_every": None, "weight_decay": 1e-4, "dice_background": True,
        "consistency_weight": 0.1,
        "ramp_step": 150, "consistency_samples": "unlabeled", "noise": 0.1, "noise_limit": 0.2, "ema_decay": 0.99,
        "result": "student",
    }  # fmt: skip
    assert_published(
        "mean-teacher", "acdc", both | {"ramp_length": 200, "consistency_start": 1000}, (12, 12, 30_000)
    )
    assert_published("mean-teacher", "la", both | {"ramp_length": 40, "consistency_start": 0}, (2, 2, 15_000))


def test_a_teacher_without_batch_statistics_is_refused(make_settings):
    settings = make_settings(2, method="mean-teacher")
    values = settings.model_dump() | {"crop": (16, 16), "unlabeled_batch": 1}
    with pytest.raises(ValueError, match="batch norm needs two"):
        type(settings)(**values)
    values["options"]["consistency_samples"] = "all"
    assert type(settings)(**values)
