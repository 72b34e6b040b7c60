"""What the released steps of the mean teacher and of those that build on it have in common."""

from functools import partial

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config.experiment import Run, parse_config
from m3hl.data.batches import Batch
from m3hl.methods.parts import losses as parts
from m3hl.methods.parts import noise
from m3hl.methods.parts.schedules import gaussian_ramp, warm_up_decay
from m3hl.training.step import step
from tests.methods.replay import Recited, batch_of, change, copies, norm, running_statistics

CPU = Execution(torch.device("cpu"))


def close(expected, rel=3e-4):
    """Return what equals a released number as closely as float32 allows."""
    return pytest.approx(expected, rel=rel, abs=1e-12)


def settings_maker(make_settings, method):
    """Return a function that makes the settings of a run of a method that a row of the fixtures describes."""

    def settings(dimensions, expected, weight, **more):
        options = {"ramp_length": int(expected["ramp_length"]), "consistency_weight": weight}
        return make_settings(dimensions, method=method, **options | more)

    return settings


def check_ramp_and_decay(expected):
    """Assert that the consistency's weight and the teacher's decay are the released ones."""
    for row in expected["consistency_weight"]:
        ramp = gaussian_ramp(row["iteration"], int(row["ramp_length"]), every=150)
        assert row["max"] * ramp == close(row["weight"], 1e-9)
    for row in expected["ema_decay"]:
        assert warm_up_decay(row["iteration"], 0.99) == close(row["decay"], 1e-6)


def say(settings, student, teacher, labels, *, iteration, iterations):
    """Return a method whose networks give prepared logits, and a batch of as many images with these labels."""
    method = methods.build(settings)
    method.student, method.teacher = Recited(student), Recited(*teacher)
    images = torch.randn(len(student), 1, *student.shape[2:])
    labeled, unlabeled = images[: len(labels)], images[len(labels) :]
    rng = np.random.default_rng(0)
    return method, Batch(labeled, labels, unlabeled, rng, iteration, iterations)


def check_losses(monkeypatch, method, batch, logits, row, logged=()):
    """Assert that losses and their gradients with respect to the student's logits are a row's; return both."""
    terms = keep_terms(monkeypatch)
    losses = method.losses(batch)
    assert [len(network.logits) for network in (method.student, method.teacher)] == [1, method.teacher.calls]
    values = losses | terms
    gradients = {}
    for name in ("ce", "dice", "supervised", "consistency", "loss", *logged):
        assert values[name].item() == close(row[name]), name
        if f"{name}_grad_l2" in row:
            (gradients[name],) = torch.autograd.grad(values[name], logits, retain_graph=True)
            assert gradients[name].norm().item() == close(row[f"{name}_grad_l2"]), name
    assert losses["weight"].item() == close(row["weight"], 1e-6)
    return losses, gradients


def keep_terms(monkeypatch):
    """Return what will hold the last cross entropy and Dice loss."""
    terms = {}
    for name, function in (("ce", "cross_entropy"), ("dice", "dice_loss")):
        keep(monkeypatch, parts, function, partial(terms.__setitem__, name))
    return terms


def keep(monkeypatch, place, name, use):
    """Let `use` have each result of `place.name`."""
    original = getattr(place, name)

    def wrapper(*arguments, **options):
        result = original(*arguments, **options)
        use(result)
        return result

    monkeypatch.setattr(place, name, wrapper)


def check_steps(monkeypatch, reference, weights, method, expected, draw, logged=()):
    """Assert in double precision that whole steps are the released ones.

    Args:
        monkeypatch: pytest's.
        reference: how weights are made.
        weights: seed; the student's are of the next, the teacher's of the one after.
        method: new.
        expected: the steps' numbers.
        draw: gives images and labels of the k-th step, and the z of each of the teacher's passes.
        logged: further names that are in both.
    """
    dimensions = method.settings.dimensions
    networks = {"student": method.student, "teacher": method.teacher}
    for number, network in enumerate(networks.values(), start=1):
        reference.fill(network, dimensions, weights + number).double()
        scale_head(network, expected.get("head_scale", 1))
    starts = {name: copies(network.parameters()) for name, network in networks.items()}
    updates, terms = method.train().updates(), keep_terms(monkeypatch)
    for k, row in enumerate(expected["steps"]):
        images, labels, *z = draw(k)
        waiting = [rounded(each) for each in z]
        monkeypatch.setattr(noise, "standard_normal", lambda like, _, w=waiting: w.pop(0).reshape(like.shape))
        rng, t = np.random.default_rng(0), expected["first_iteration"] + k
        batch = batch_of(images, labels, rng, t, expected["iterations"], torch.float64)
        losses = step(method, updates, batch, CPU) | terms
        assert not waiting
        assert t == row["iteration"]
        for name in ("loss", "ce", "dice", "supervised", "consistency", "weight", *logged):
            assert losses[name].item() == close(row[name], 1e-6), name
        assert updates[0].optimizer.param_groups[0]["lr"] == close(row["learning_rate"], 1e-9)
        gradients = norm(p.grad for p in method.student.parameters())
        assert gradients == close(row["student_grad_l2"], 1e-6)
        for name, network in networks.items():
            found = {
                "param_l2": norm(network.parameters()),
                "change_l2": change(network.parameters(), starts[name]),
                "running_l2": norm(running_statistics(network)),
            }
            assert found == close(row[name], 1e-6), name


def rounded(values):
    """Return numbers as the fixtures have them: rounded to single precision, in double precision."""
    return torch.from_numpy(values.astype(np.float32)).double()


def scale_head(network, scale):
    """Multiply weight and bias of a network's last layer."""
    with torch.no_grad():
        for parameter in list(network.parameters())[-2:]:
            parameter.mul_(scale)


def watch(network):
    """Return the list to which each forward pass adds its input and its logits."""
    passes = []
    network.register_forward_hook(lambda _, args, out: passes.append((args[0].numpy(), out.logits)))
    return passes


def assert_published(method, kind, options, training, preset=None, decay=0.1):
    """Assert a preset's options on a data set, and batch sizes and iterations; nothing selects on the test set."""
    settings = published(method, kind, preset)
    found = settings.options.model_dump()
    assert found == {"learning_rate_decay": decay} | options
    assert (settings.labeled_batch, settings.unlabeled_batch, settings.iterations) == training
    assert settings.selection == {"acdc": "val", "la": "last"}[kind]
    assert settings.preset == (preset or "released")


def published(method, kind, preset=None):
    """Return the settings of a preset on a data set."""
    study = {
        "name": "study",
        "datasets": {"d": {"kind": kind, "source": "phantom"}},
        "methods": {"m": {"method": method, "preset": preset}},
    }
    return parse_config(study).settings(Run("d", "m", 3, 1337))


def softmax(logits):
    """Return probabilities (B, C, *) in plain NumPy."""
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return exponential / exponential.sum(1, keepdims=True)


def dice_terms(p, y, form, epsilon):
    """Return Dice losses in plain NumPy: "squared" over the batch (C), "plain" for each sample (B, C)."""
    truth = np.stack([y == c for c in range(p.shape[1])], axis=1)
    power, first = {"squared": (2, (0,)), "plain": (1, ())}[form]
    axes = (*first, *range(2, p.ndim))
    size = (p**power).sum(axes) + truth.sum(axes)
    return 1 - (2 * (p * truth).sum(axes) + epsilon) / (size + epsilon)


def ce_and_dice(logits, labels, *, background=True):
    """Return ½ (CE + Dice) in plain NumPy, class by class."""
    p, classes = softmax(logits), logits.shape[1]
    truth = np.stack([labels == c for c in range(classes)], axis=1).astype(float)
    ce = -(truth * np.log(p)).sum(1).mean()
    dice = [
        1 - (2 * (p[:, c] * truth[:, c]).sum() + 1e-5) / ((p[:, c] ** 2).sum() + truth[:, c].sum() + 1e-5)
        for c in range(0 if background else 1, classes)
    ]
    return (ce + np.mean(dice)) / 2
