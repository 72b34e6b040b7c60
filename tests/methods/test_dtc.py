"""DTC: the released losses and steps, the equations in plain NumPy, and its presets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods.dtc import consistency_loss
from m3hl.training.step import step
from tests.methods.lineage import assert_published, dice_terms, softmax
from tests.methods.parts.test_distances import by_definition
from tests.methods.replay import copies, norm
from tests.methods.two_heads import draws, fill, say, step_batch, student_facts, tolerance

CPU = Execution(torch.device("cpu"))
CROP = {2: (64, 64), 3: (32, 32, 32)}


@pytest.fixture
def numbers(released):
    return released("dtc")


@pytest.mark.parametrize("row", ["consistency_wide", "consistency_near", "total_near_beta_0.3_lambda_0.4"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_losses_and_their_gradients_are_the_released_ones(numbers, make_settings, dimensions, row):
    expected, (z, d, near) = numbers[f"losses{dimensions}d"][row], draws(numbers, dimensions)
    distance = d if row.endswith("wide") else near
    options = {"consistency_weight": 0.4, "ramp_length": 0}
    method, batch = say(make_settings(dimensions, method="dtc", **options), numbers, z, distance)
    losses = method.losses(batch)
    found = losses["loss" if row.startswith("total") else "consistency"]
    assert found.item() == pytest.approx(expected["value"], rel=1e-5)
    for kind, gradient in zip("zd", torch.autograd.grad(found, [z, distance]), strict=True):
        name = {"z": "grad_segmentation", "d": "grad_distance"}[kind]
        assert norm([gradient]) == pytest.approx(expected[name], rel=1e-4), name


@pytest.mark.parametrize("dimensions", [2, 3])
def test_two_steps_are_the_released_ones(numbers, reference, make_settings, dimensions):
    rows = numbers[f"steps{dimensions}d"]
    options = {
        "consistency_weight": rows["consistency_weight"],
        "learning_rate": rows["learning_rate"],
        "distance_weight": rows["distance_weight"],
        "ramp_length": 0,
    }
    settings = make_settings(dimensions, method="dtc", channels=16, crop=CROP[dimensions], **options)
    method = methods.build(settings).train()
    fill(method, numbers, reference, numbers["seed"] + 1)
    start = copies(p for part in method.trained() for p in part.parameters())
    assert norm(start) == pytest.approx(rows["initial"]["student_param_l2"], rel=1e-6)
    updates = method.updates()
    for k, row in enumerate(rows["steps"]):
        losses = step(method, updates, step_batch(numbers, dimensions, k), CPU)
        found = {name: value.item() for name, value in losses.items()} | student_facts(method, start)
        for name, value in row.items():
            assert found[name] == pytest.approx(value, rel=tolerance(numbers, name)), (k, name)


@pytest.mark.parametrize(("absent", "dice"), [("zero", "squared"), ("outside", "squared"), ("zero", "plain")])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_step_in_numpy(make_settings, make_batch, dimensions, absent, dice):
    crop = {2: (32, 32), 3: (16, 16, 16)}[dimensions]
    options = {
        "absent": absent,
        "dice": dice,
        "consistency_weight": 0.7,
        "distance_weight": 0.2,
        "ramp_length": 20,
    }
    settings = make_settings(dimensions, method="dtc", crop=crop, channels=4, **options)
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=1600)
    classes = len(settings.classes)
    # One class is absent from the first sample.
    labels = batch.labels.where(batch.labels != classes, torch.tensor([0, classes]).view(2, *[1] * dimensions))
    batch, passes = replace(batch, labels=labels), []
    method.student.register_forward_hook(lambda _, args, out: passes.append((args[0].numpy(), out)))
    found = {name: value.item() for name, value in method.losses(batch).items()}

    ((seen, out),) = passes
    np.testing.assert_array_equal(seen, np.concatenate([batch.labeled_images, batch.unlabeled_images]))
    p = softmax(out.logits.detach().double().numpy())
    t = np.tanh(method.distance_head(out.head_input).detach().double().numpy())
    y = labels.numpy()
    terms = dice_terms(p[:2], y, dice, 1e-10 if (dimensions, dice) == (2, "squared") else 1e-5)
    if dimensions == 3:
        terms = terms[..., 1]
    s = np.stack([[by_definition(one == c) for c in range(1, classes + 1)] for one in y])
    assert (s[0, -1] == 0).all()
    s[0, -1] = {"zero": 0, "outside": 1}[absent]
    expected = {
        "dice": terms.mean(),
        "distance": ((t[:2] - s) ** 2).mean(),
        "consistency": ((expit(-1500 * t) - p[:, 1:]) ** 2).mean(),
        "weight": 0.7 * np.exp(-5 * (1 - 10 / 20) ** 2),
    }
    weight = expected["weight"]
    expected["loss"] = expected["dice"] + 0.2 * expected["distance"] + weight * expected["consistency"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_mask_and_its_own_distances_agree():
    p = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]])
    inside_first = torch.tensor([[[-1.0, -0.1, 0.1, 1.0]]])
    assert consistency_loss(p, inside_first) < 1e-12
    assert consistency_loss(p, -inside_first) > 0.99


BOTH = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "learning_rate_power": None,
    "learning_rate_lag": False, "consistency_weight": 1.0, "distance_weight": 0.3, "absent": "zero",
    "dice": "squared", "ramp_step": 150,
}  # fmt: skip
ACDC = BOTH | {"learning_rate_decay_every": None, "ramp_length": 200}
LA = BOTH | {"learning_rate_decay_every": 2500, "ramp_length": 40}
PAPER = {"distance_weight": 1.0, "dice": "plain", "ramp_length": None, "ramp_step": 1}


def test_presets_are_as_the_page_says():
    assert_published("dtc", "acdc", ACDC, (12, 12, 30_000))
    assert_published("dtc", "la", LA, (2, 2, 6000))
    assert_published("dtc", "acdc", ACDC | PAPER, (12, 12, 30_000), preset="paper")
    assert_published("dtc", "la", LA | PAPER, (2, 2, 6000), preset="paper")
