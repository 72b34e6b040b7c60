"""CutMix: the released code's numbers, the equations in plain NumPy, and what no number of its can tell."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config.experiment import parse_config
from m3hl.config.run import RunSettings
from m3hl.methods.parts.boxes import draw_boxes
from m3hl.methods.parts.losses import segmentation_loss
from m3hl.training.step import step
from tests.methods.replay import Recited, batch_of, change, copies, logits_of, norm, running_statistics, watch

CPU = Execution(torch.device("cpu"))
SHAPES = {2: (106, 108, (3, 4, 32, 32)), 3: (107, 109, (2, 2, 24, 24, 16))}
VARIANTS = {
    "french": {},
    "no_threshold": {"confidence_threshold": None},
    "mean_teacher": {"confidence_threshold": None, "consistency_classes": "mean"},
}


def close(expected, rel=1e-4):
    return pytest.approx(expected, rel=rel)


@pytest.fixture
def numbers(released):
    return released("cutmix")


def recited_method(settings, *, student, teacher):
    """Return a method whose networks say what they are told."""
    method = methods.build(settings)
    method.student, method.teacher = Recited(*student), Recited(*teacher)
    return method


def loss_row(numbers, dimensions):
    """Return generator of boxes, and the logits of student, teacher on a, teacher on b."""
    boxes, logits, shape = SHAPES[dimensions]
    random = np.random.RandomState(numbers["seed"] * logits)
    return np.random.RandomState(numbers["seed"] * boxes), [logits_of(random, shape, 3) for _ in range(3)]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_consistency_is_the_released_codes(numbers, make_settings, dimensions, variant):
    expected = numbers[f"loss{dimensions}d"][variant]
    rng, (student, a, b) = loss_row(numbers, dimensions)
    crop = tuple(student.shape[2:])
    settings = make_settings(dimensions, method="cutmix", pairs=len(student), **VARIANTS[variant])
    labels = np.zeros((1, *crop), int)
    method = recited_method(
        settings.model_copy(update={"crop": crop}),
        student=[torch.zeros(1, *student.shape[1:]), student],
        teacher=[a, b],
    )
    losses = method.losses(batch_of(np.zeros((1 + 2 * len(student), 1, *crop)), labels, rng))
    losses["consistency"].backward()
    assert losses["consistency"].item() == close(expected["loss"])
    assert student.grad.norm().item() == close(expected["grad_l2"])
    assert a.grad is None
    assert b.grad is None
    if variant == "french":
        assert losses["confident"].item() == close(expected["confident_share"])


def softmax(logits):
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return exponential / exponential.sum(1, keepdims=True)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_consistency_in_numpy(numbers, dimensions):
    expected = numbers[f"loss{dimensions}d"]
    _, logits = loss_row(numbers, dimensions)
    student, a, b = (softmax(x.detach().double().numpy()) for x in logits)
    m = numbers[f"boxmask{dimensions}d"][:, None]
    q = (1 - m) * a + m * b
    difference, sure = (student - q) ** 2, q.max(1) >= 0.97
    assert sure.mean() * difference.sum(1).mean() == close(expected["french"]["loss"])
    assert difference.sum(1).mean() == close(expected["no_threshold"]["loss"])
    assert difference.mean() == close(expected["mean_teacher"]["loss"])
    # What κ is not.
    assert (sure * difference.sum(1)).mean() == close(expected["per_voxel"]["loss"])
    assert expected["per_voxel"]["confident_share"] == close(sure.mean())


STEPS = {
    "french_steps_2d": ("french", 2, "steps_2d_threshold"),
    "benchmark_steps_2d": ("benchmark", 2, "steps_2d_threshold"),
    "benchmark_steps_3d": ("benchmark", 3, "steps_3d_threshold"),
    "mean_teacher_steps_2d": ("mean-teacher", 2, None),
}
# In train mode these networks amplify rounding: float64 is as far from the numbers as another CPU's float32. And a
# voxel may be sure here and not there.
LOOSE = {
    "grad_l2": 3e-3,
    "student_change_l2": 1e-3,
    "teacher_change_l2": 1e-3,
    "consistency": 1e-3,
    "confident_share": 1e-3,
}


def draw_batch(numbers, dimensions, k, row):
    """Return the batch of step k; its boxes come next from the same numbers."""
    seed, shape, count, classes = {2: (112, (8, 1, 64, 64), 4, 4), 3: (113, (4, 1, 48, 48, 48), 2, 2)}[dimensions]
    random = np.random.RandomState(numbers["seed"] * seed + k)
    images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
    labels = random.randint(0, classes, (count, *shape[2:]))
    return batch_of(images, labels, random, row.get("iteration", k), 30_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_two_steps_are_the_released_codes(numbers, reference, make_settings, name):
    preset, dimensions, threshold = STEPS[name]
    crop, pairs = {2: ((64, 64), 2), 3: ((48, 48, 48), 1)}[dimensions]
    options = {} if threshold is None else {"confidence_threshold": numbers[threshold]}
    settings = make_settings(
        dimensions, method="cutmix", preset=preset, crop=crop, pairs=pairs, channels=16, **options
    )
    method = methods.build(settings).train()
    student, teacher = method.student, method.teacher
    reference.fill(student, dimensions, numbers["seed"] + 1)
    reference.fill(teacher, dimensions, numbers["seed"] + (2 if preset == "mean-teacher" else 1))
    start = {network: copies(network.parameters()) for network in (student, teacher)}
    updates = method.updates()
    for k, row in enumerate(numbers[name]):
        batch = draw_batch(numbers, dimensions, k, row)
        losses = {key: value.item() for key, value in step(method, updates, batch, CPU).items()}
        gap = [s - t for s, t in zip(running_statistics(student), running_statistics(teacher), strict=True)]
        got = losses | {
            "grad_l2": norm(p.grad for p in student.parameters()),
            "student_param_l2": norm(student.parameters()),
            "teacher_param_l2": norm(teacher.parameters()),
            "student_running_l2": norm(running_statistics(student)),
            "teacher_running_l2": norm(running_statistics(teacher)),
            "student_change_l2": change(student.parameters(), start[student]),
            "teacher_change_l2": change(teacher.parameters(), start[teacher]),
            "running_gap_l2": norm(gap),
            "iteration": batch.iteration,
            "learning_rate": updates[0].optimizer.param_groups[0]["lr"],
        }
        got["confident_share"] = losses.get("confident")
        for key, value in row.items():
            assert got[key] == close(value, LOOSE.get(key, 1e-4)), (k, key)


def test_ramp_and_decay_are_the_released_codes(numbers, make_settings):
    logits = torch.zeros(2, 2, 4, 4)
    settings = make_settings(2, method="cutmix", preset="mean-teacher").model_copy(update={"crop": (4, 4)})
    method = recited_method(settings, student=[logits.requires_grad_()], teacher=[logits])
    for t, weight in numbers["sigmoid_rampup_200_x_0.1"].items():
        rng = np.random.default_rng(0)
        batch = batch_of(np.zeros((6, 1, 4, 4)), np.zeros((2, 4, 4), int), rng, int(t))
        assert method.losses(batch)["weight"].item() == pytest.approx(weight, rel=1e-6)
    for t, decay in numbers["ema_decay_mean_teacher"].items():
        method.student, method.teacher = nn.Linear(1, 1), nn.Linear(1, 1).requires_grad_(False)
        method.student.weight.data.fill_(0)
        method.teacher.weight.data.fill_(1)
        method.after_step(batch_of(np.zeros((2, 1, 4, 4)), np.zeros((1, 4, 4), int), iteration=int(t)))
        assert method.teacher.weight.item() == pytest.approx(decay, rel=1e-6)


@pytest.mark.parametrize(("dimensions", "threshold"), [(2, 0.3), (3, 0.6)])
def test_a_step_in_numpy(make_settings, make_batch, dimensions, threshold):
    options = {
        "confidence_threshold": threshold,
        "consistency_weight": 0.7,
        "ramp_length": 2,
        "dice_epsilon": 40.0,
    }
    settings = make_settings(
        dimensions, method="cutmix", crop=(32,) * dimensions, pairs=2, teacher_starts_as="random", **options
    )
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=160)
    student, teacher = watch(method.student), watch(method.teacher)
    boxes = draw_boxes(deepcopy(batch.rng), 2, settings.crop, 0.5)
    got = {name: value.item() for name, value in method.losses(batch).items()}

    m = np.zeros((2, 1, *settings.crop))
    for mask, (first, end) in zip(m, boxes, strict=True):
        mask[(0, *(slice(i, j) for i, j in zip(first, end, strict=True)))] = 1
    u = batch.unlabeled_images.numpy()
    (seen_l, logits_l, _), (seen_m, logits_m, _) = student
    (seen_a, logits_a, _), (seen_b, logits_b, _) = teacher
    for seen, expected in ((seen_l, batch.labeled_images), (seen_a, u[:2]), (seen_b, u[2:])):
        np.testing.assert_array_equal(seen, expected)
    np.testing.assert_allclose(seen_m, (1 - m) * u[:2] + m * u[2:])
    assert all(training for *_, training in student + teacher)
    q = (1 - m) * softmax(logits_a) + m * softmax(logits_b)
    kappa = (q.max(1) >= threshold).mean()
    consistency = kappa * ((softmax(logits_m) - q) ** 2).sum(1).mean()
    weight = 0.7 * np.exp(-5 * 0.5**2)
    form = {2: "squared", 3: "plain"}[dimensions]
    logits_l = torch.from_numpy(logits_l)
    supervised = segmentation_loss(logits_l, batch.labels, None, form, "mean", epsilon=40.0).item()
    assert 0.05 < kappa < 0.95
    assert got == pytest.approx(
        {
            "loss": supervised + weight * consistency,
            "supervised": supervised,
            "consistency": consistency,
            "confident": kappa,
            "weight": weight,
        },
        rel=1e-5,
    )


def test_pseudo_labels_are_made_half_after_half(make_settings, make_batch):
    settings = make_settings(2, method="cutmix", pairs=2)
    method, images = methods.build(settings), make_batch(settings).unlabeled_images
    method.teacher.train()
    passes = watch(method.teacher)
    labels = method.pseudo_labels(method.teacher, images)
    assert [len(seen) for seen, *_ in passes] == [2, 2]
    np.testing.assert_array_equal(labels, np.concatenate([logits for _, logits, _ in passes]).argmax(1))


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("benchmark", ["student", "teacher"]),
        ("french", ["teacher", "student"]),
        ("mean-teacher", ["student", "teacher"]),
    ],
)
def test_which_network_is_the_result_and_how_the_teacher_starts(make_settings, preset, names):
    method = methods.build(make_settings(2, method="cutmix", preset=preset))
    assert list(method.networks()) == names
    assert list(method.results()) == names[:1]
    assert list(method.trained()) == [method.student]
    assert not any(parameter.requires_grad for parameter in method.teacher.parameters())
    pairs = zip(method.student.parameters(), method.teacher.parameters(), strict=True)
    assert all(torch.equal(s, t) for s, t in pairs) == (preset != "mean-teacher")


def options_of(preset, kind):
    study = {
        "name": "study",
        "datasets": {"d": {"kind": kind, "source": "phantom"}},
        "methods": {"m": {"method": "cutmix", "preset": preset}},
        "experiments": [{"dataset": ["d"], "method": ["m"], "labeled": [3]}],
    }
    config = parse_config(study)
    settings = config.settings(config.runs()[0])
    return {key: getattr(settings.options, key) for key in KEYS}


KEYS = (
    "supervised", "dice", "dice_epsilon", "consistency_classes", "confidence_threshold", "consistency_weight",
    "ramp_length", "ema_decay", "ema_warm_up", "ema_buffers", "teacher_starts_as", "result", "learning_rate",
    "learning_rate_decay_every", "learning_rate_power", "learning_rate_lag", "box_share",
)  # fmt: skip
TABLE = {
    ("benchmark", "acdc"): (
        "ce_and_dice", "squared", None, "sum", 0.97, 1, 0, 0.99, False, True, "student", "student",
        0.01, None, None, False, 0.5,
    ),
    ("benchmark", "la"): (
        "ce_and_dice", "plain", None, "sum", 0.97, 1, 0, 0.99, False, True, "student", "student",
        0.01, 2500, None, False, 0.5,
    ),
    ("french", "acdc"): (
        "ce", "squared", None, "sum", 0.97, 1, 0, 0.99, False, True, "student", "teacher",
        0.01, None, None, False, 0.5,
    ),
    ("mean-teacher", "acdc"): (
        "ce_and_dice", "squared", 1e-5, "mean", None, 0.1, 200, 0.99, True, False, "random", "student",
        0.01, None, 0.9, True, 0.5,
    ),
    ("mean-teacher", "la"): (
        "ce_and_dice", "squared", 1e-5, "mean", None, 0.1, 40, 0.99, True, False, "random", "student",
        0.01, None, 0.9, True, 0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("preset", "kind"), TABLE)
def test_presets_are_as_the_table_says(preset, kind):
    assert options_of(preset, kind) == dict(zip(KEYS, TABLE[preset, kind], strict=True))


def test_the_unlabeled_batch_needs_halves(make_settings):
    run = make_settings(2, method="cutmix").model_dump()
    with pytest.raises(ValueError, match=r"unlabeled_batch 3 must be even: .* make it 4"):
        RunSettings(**run | {"unlabeled_batch": 3})
    # Halves pass on their own, so that one sample must leave batch norm two values.
    with pytest.raises(ValueError, match=r"crop .16, 16. with 1 sample in one pass"):
        RunSettings(**run | {"crop": (16, 16)})


def test_its_learning_curve_says_how_sure_the_teacher_is(launch, run_settings, tmp_path):
    training = launch(run_settings(2, method="cutmix", iterations=2, validate_every=2), tmp_path)
    assert list(training.history.rows[-1]) == [
        "iteration", "learning_rate", "loss", "supervised", "consistency", "confident", "weight",
        "val_student_dice", "val_teacher_dice", "pseudo_student_dice", "pseudo_teacher_dice",
    ]  # fmt: skip
