"""SASSNet: the released discriminator and steps, who sees what in which mode, and its preset."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods.parts.discriminator import Discriminator
from m3hl.training.step import step
from tests.conftest import dropout_off, weights_of
from tests.methods.lineage import assert_published, softmax
from tests.methods.replay import batch_of, change, copies, norm, running_statistics
from tests.methods.two_heads import Says, fill, step_batch, student_facts, tolerance

CPU = Execution(torch.device("cpu"))
CROP = {2: (64, 64), 3: (32, 32, 32)}


@pytest.fixture
def numbers(released):
    return released("sassnet")


def judge(numbers, network, dimensions):
    """Give a discriminator the released weights, without dropout."""
    layers = numbers["layers"][f"discriminator{dimensions}d"]
    with torch.no_grad():
        for parameter, layer in zip(network.parameters(), layers, strict=True):
            parameter.copy_(weights_of(layer, numbers["seed"] + 2))
    return dropout_off(network)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_discriminator_and_its_losses_are_the_released_ones(numbers, make_settings, dimensions):
    rows, count = numbers[f"discriminator{dimensions}d"], {2: 3, 3: 1}[dimensions]
    random, crop = np.random.RandomState(numbers["seed"] * 90 + dimensions), CROP[dimensions]
    before_tanh, images = (random.standard_normal((4, n, *crop)) for n in (count, 1))
    settings = make_settings(dimensions, method="sassnet", crop=crop, discriminator_learning_rate=1e-4)
    method, distances = methods.build(settings).train(), torch.from_numpy(before_tanh.astype(np.float32))
    discriminator = judge(numbers, method.discriminator, dimensions)
    assert (
        sum(p.numel() for p in discriminator.parameters()) == numbers["parameters"][f"discriminator{dimensions}d"]
    )
    batch = batch_of(images, np.zeros((2, *crop), int))
    images, t = torch.cat([batch.labeled_images, batch.unlabeled_images]), distances.tanh().requires_grad_()
    torch.testing.assert_close(discriminator(t, images), torch.tensor(rows["logits"]), rtol=1e-4, atol=1e-5)

    adversarial = method.adversarial_loss(t[2:], images[2:])
    (gradient,) = torch.autograd.grad(adversarial, t)
    assert adversarial.item() == pytest.approx(rows["adversarial"]["value"], rel=1e-5)
    assert norm([gradient]) == pytest.approx(rows["adversarial"]["grad_map"], rel=1e-4)

    start, update = copies(discriminator.parameters()), method.updates()[1]
    method.student = Says(torch.zeros(4, len(settings.classes) + 1, *crop), distances)
    method.distance_head = nn.Identity()
    losses = step(method, [update], batch, CPU)
    expected = rows["discriminator_loss"]
    assert losses["discriminator"].item() == pytest.approx(expected["value"], rel=1e-5)
    gradients = norm(p.grad for p in discriminator.parameters())
    assert gradients == pytest.approx(expected["grad_parameters"], rel=1e-4)
    expected = rows["after_one_adam_step"]
    assert norm(discriminator.parameters()) == pytest.approx(expected["param_l2"], rel=1e-6)
    assert change(discriminator.parameters(), start) == pytest.approx(expected["change_l2"], rel=1e-4)


@pytest.mark.slow
@torch.no_grad()
def test_at_the_published_crop_the_mean_is_the_released_pool(numbers):
    discriminator = judge(numbers, Discriminator(3, 1), 3)
    random = np.random.RandomState(numbers["seed"] * 89)
    before_tanh, images = (
        torch.from_numpy(random.standard_normal((2, 1, 112, 112, 80)).astype(np.float32)) for _ in range(2)
    )
    expected = torch.tensor(numbers["discriminator3d_published_crop"]["logits"])
    torch.testing.assert_close(discriminator(before_tanh.tanh(), images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_two_steps_are_the_released_ones(numbers, reference, make_settings, monkeypatch, dimensions):
    rows = numbers[f"steps{dimensions}d"]
    options = {
        "adversarial_weight": rows["adversarial_weight"],
        "learning_rate": rows["learning_rate"],
        "distance_weight": rows["distance_weight"],
        "discriminator_learning_rate": rows["discriminator_learning_rate"],
        "ramp_length": 0,
    }
    settings = make_settings(dimensions, method="sassnet", channels=16, crop=CROP[dimensions], **options)
    method = methods.build(settings).train()
    fill(method, numbers, reference, numbers["seed"] + 1)
    judge(numbers, method.discriminator, dimensions)
    start = [copies(p for part in method.trained() for p in part.parameters())]
    start.append(copies(method.discriminator.parameters()))
    initial = {"student_param_l2": norm(start[0]), "discriminator_param_l2": norm(start[1])}
    assert initial == pytest.approx(rows["initial"], rel=1e-6)
    seen, updates = watch(method, monkeypatch), method.updates()
    for k, row in enumerate(rows["steps"]):
        losses = step(method, updates, step_batch(numbers, dimensions, k), CPU)
        discriminator = list(method.discriminator.parameters())
        found = {name: value.item() for name, value in losses.items()} | student_facts(method, start[0])
        found |= {
            "discriminator_param_l2": norm(discriminator),
            "discriminator_change_l2": change(discriminator, start[1]),
            "discriminator_grad_l2": norm(p.grad for p in discriminator),
            "logits_eval_l2": norm([seen[-1].logits]),
            "tanh_eval_l2": norm([seen[-1].t]),
        }
        for name, value in row.items():
            assert found[name] == pytest.approx(value, rel=tolerance(numbers, name)), (k, name)


class Pass:
    """A pass of the network: images, logits, t, whether it trained."""

    def __init__(self, images, logits, t, training):
        self.images, self.logits, self.t, self.training = images, logits.detach(), t.detach(), training


def watch(method, monkeypatch):
    """Return the list to which each call of `predict` adds its pass."""
    passes, outputs, predict = [], [], method.predict
    method.student.register_forward_hook(lambda _, args, out: outputs.append(out.logits))

    def watched(images):
        p, t = predict(images)
        passes.append(Pass(images, outputs[-1], t, method.student.training))
        return p, t

    monkeypatch.setattr(method, "predict", watched)
    return passes


@pytest.mark.parametrize("dimensions", [2, 3])
def test_who_sees_what_and_when(make_settings, make_batch, monkeypatch, dimensions):
    crop = {2: (32, 32), 3: (16, 16, 16)}[dimensions]
    options = {"adversarial_weight": 0.7, "distance_weight": 0.2, "ramp_length": 20, "learning_rate": 0.05}
    settings = make_settings(dimensions, method="sassnet", crop=crop, channels=4, **options)
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=1600)
    seen, judged, updates = watch(method, monkeypatch), [], method.updates()
    method.discriminator.register_forward_hook(
        lambda module, args, out: judged.append((*args, out.detach().double().numpy(), module.training))
    )
    first = {name: value.item() for name, value in step(method, updates[:1], batch, CPU).items()}
    assert all(p.grad is None for p in method.discriminator.parameters())
    network, judge_before = copies(method.student.parameters()), copies(method.discriminator.parameters())
    statistics = copies(running_statistics(method.student))
    second = step(method, updates[1:], batch, CPU)
    assert change(method.student.parameters(), network) == 0
    assert change(running_statistics(method.student), statistics) == 0
    assert change(method.discriminator.parameters(), judge_before) > 0
    assert all(part.training for part in method.modules())

    everyone = torch.cat([batch.labeled_images, batch.unlabeled_images])
    assert [one.training for one in seen] == [True, False]
    assert all(torch.equal(one.images, everyone) for one in seen)
    assert not torch.equal(seen[0].t, seen[1].t)
    (t_u, x_u, fooled, trained_1), (t, x, told, trained_2) = judged
    assert [trained_1, trained_2] == [False, True]
    assert torch.equal(t_u, seen[0].t[2:])
    assert torch.equal(x_u, batch.unlabeled_images)
    assert torch.equal(t, seen[1].t)
    assert torch.equal(x, everyone)
    adversarial = -np.log(softmax(fooled)[:, 1]).mean()
    p = softmax(told)
    assert second["discriminator"].item() == pytest.approx(
        -np.log([p[0, 1], p[1, 1], p[2, 0], p[3, 0]]).mean(), rel=1e-5
    )
    assert first["adversarial"] == pytest.approx(adversarial, rel=1e-5)
    weight = 0.7 * np.exp(-5 * (1 - 10 / 20) ** 2)
    assert first["weight"] == pytest.approx(weight)
    assert first["loss"] == pytest.approx(first["dice"] + 0.2 * first["distance"] + weight * adversarial, rel=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_whole_channels_are_dropped_before_all_convolutions_but_the_first(dimensions):
    torch.manual_seed(0)
    network, seen = Discriminator(dimensions, 1).train(), {}
    parts = {
        "maps": network.map_convolution,
        "images": network.image_convolution,
        "classifier": network.classifier,
    }
    for name, part in (parts | dict(enumerate(network.convolutions))).items():
        part.register_forward_hook(lambda _, args, out, name=name: seen.update({name: args[0] == 0}))
    network(*torch.randn(2, 4, 1, *(32,) * dimensions))
    for k, width in enumerate((64, 128, 256)):
        zero = seen.pop(k).flatten(2)
        assert zero.shape[1] == width
        # A channel is zero as a whole, or nowhere.
        assert torch.equal(zero.all(2), zero.any(2))
        assert 0.4 < zero.float().mean() < 0.6
    assert seen.keys() == parts.keys()
    assert not any(zero.any() for zero in seen.values())


def test_the_judge_is_trained_by_adam_alone_and_is_no_result(make_settings):
    method = methods.build(make_settings(3, method="sassnet"))
    by_sgd, by_adam = (
        {id(p) for group in update.optimizer.param_groups for p in group["params"]} for update in method.updates()
    )
    assert by_adam == {id(p) for p in method.discriminator.parameters()}
    assert not by_sgd & by_adam
    adam = method.updates()[1].optimizer
    assert type(adam) is torch.optim.Adam
    assert (adam.defaults["betas"], adam.defaults["eps"], adam.defaults["weight_decay"]) == ((0.9, 0.99), 1e-8, 0)
    assert [method.updates()[1].rate(t, 6000) for t in (0, 5999)] == [1e-4, 1e-4]
    assert list(method.results()) == list(method.networks()) == ["student"]


BOTH = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "learning_rate_power": None,
    "learning_rate_lag": False, "adversarial_weight": 0.015, "distance_weight": 0.3, "absent": "zero",
    "dice": "squared", "ramp_step": 150, "discriminator_learning_rate": 1e-4,
}  # fmt: skip
ACDC = BOTH | {"learning_rate_decay_every": None, "ramp_length": 200}
LA = BOTH | {"learning_rate_decay_every": 2500, "ramp_length": 40}


def test_the_preset_is_as_the_page_says():
    assert_published("sassnet", "acdc", ACDC, (12, 12, 30_000))
    assert_published("sassnet", "la", LA, (2, 2, 6000))
