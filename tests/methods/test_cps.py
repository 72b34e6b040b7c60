"""CPS: the released code's numbers, the equations in plain NumPy, and what no number of its can tell."""

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config.run import RunSettings
from m3hl.methods import cps
from m3hl.methods.parts.optimization import learning_rate
from m3hl.training.optimization import step
from tests.methods.replay import Recited, batch_of, change, copies, logits_of, norm, running_statistics

CPU = Execution(torch.device("cpu"))
SHAPES = {2: (4, 4, 32, 32), 3: (4, 2, 16, 16, 12)}
STEPS = {2: (85, (4, 1, 128, 128)), 3: (86, (4, 1, 32, 32, 32))}


@pytest.fixture
def numbers(released):
    return released("cps")


def recited_method(settings, logits_1, logits_2):
    """Return a method whose networks say what they are told."""
    method = methods.build(settings)
    method.network_1, method.network_2 = Recited(logits_1), Recited(logits_2)
    return method


def loss_row(numbers, dimensions):
    """Return both networks' logits, and a batch with the labels of the first two samples."""
    shape, seed = SHAPES[dimensions], numbers["seed"]
    logits = [logits_of(np.random.RandomState(seed + n), shape, 2) for n in (51, 52)]
    random, extent = np.random.RandomState(seed + 53), shape[2:]
    if dimensions == 2:
        labels = random.randint(0, 4, extent), random.randint(0, 2, extent)
    else:
        labels = random.randint(0, 2, extent), (random.rand(*extent) < 0.1).astype(int)
    row = numbers[f"loss{dimensions}d"]
    return logits, batch_of(np.zeros((4, 1, *extent)), np.stack(labels), iteration=row["iteration"])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_losses_and_gradients_are_the_released_codes(numbers, make_settings, dimensions):
    row = numbers[f"loss{dimensions}d"]
    logits, batch = loss_row(numbers, dimensions)
    options = {"weight": row["max"], "ramp_length": row["ramp_length"]}
    method = recited_method(make_settings(dimensions, method="cps", **options), *logits)
    losses = method.losses(batch)
    for j in (1, 2):
        losses[f"loss_{j}"] = losses[f"supervised_{j}"] + losses["weight"] * losses[f"cross_{j}"]
        labels = method.pseudo_labels(Recited(logits[j - 1][2:]), batch.unlabeled_images)
        assert labels.flatten().bincount().tolist() == row[f"pseudo_counts_{j}"]
    for name in ("supervised_1", "supervised_2", "cross_1", "cross_2", "loss_1", "loss_2", "loss", "weight"):
        assert losses[name].item() == pytest.approx(row[name], rel=1e-6), name
        if name == "weight":
            continue
        gradients = torch.autograd.grad(losses[name], logits, retain_graph=True, allow_unused=True)
        for j, gradient in enumerate(gradients, start=1):
            size = 0.0 if gradient is None else gradient.norm().item()
            assert size == pytest.approx(row[f"{name}_grad_l2_{j}"], rel=1e-5), (name, j)
    for j, gradient in enumerate(torch.autograd.grad(losses["loss"], logits), start=1):
        numbers.check(f"loss{dimensions}d_grad_{j}", gradient, rtol=1e-5)


def test_weights_and_learning_rates_are_the_released_codes(numbers, make_settings):
    logits = torch.zeros(2, 2, 4, 4, requires_grad=True)
    for row in numbers["consistency_weight"]:
        options = {"weight": row["max"], "ramp_length": row["ramp_length"]}
        method = recited_method(make_settings(2, method="cps", **options), logits, logits)
        batch = batch_of(np.zeros((2, 1, 4, 4)), np.zeros((1, 4, 4), int), iteration=row["iteration"])
        assert method.losses(batch)["weight"].item() == pytest.approx(row["weight"], rel=1e-6)
    options = make_settings(2, method="cps").options
    for row in numbers["learning_rate"]:
        rate = learning_rate(options, row["iteration"], row["iterations"])
        assert rate == pytest.approx(row["learning_rate"], rel=1e-12)


@pytest.fixture
def targets(monkeypatch):
    """Return the pseudo-labels that the steps take, in order: for network 1 (by 2), for network 2 (by 1)."""
    original, taken = cps.cross_loss, []

    def recorded(logits, others):
        taken.append(others.argmax(1))
        return original(logits, others)

    monkeypatch.setattr(cps, "cross_loss", recorded)
    return taken


@pytest.mark.parametrize("dimensions", [2, 3])
def test_two_steps_are_the_released_codes(numbers, reference, make_settings, targets, dimensions):
    expected, (seed, shape) = numbers[f"steps{dimensions}d"], STEPS[dimensions]
    options = {"weight": expected["consistency"], "ramp_length": expected["ramp_length"]}
    settings = make_settings(dimensions, method="cps", crop=shape[2:], channels=16, **options)
    method = methods.build(settings).train()
    for j, network in enumerate(method.trained(), start=1):
        reference.fill(network, dimensions, numbers["seed"] + j)
    method.double()
    networks = {f"network_{j}": network for j, network in enumerate(method.trained(), start=1)}
    start = {name: copies(network.parameters()) for name, network in networks.items()}
    updates, total = method.updates(), expected["iterations"]
    for k, row in enumerate(expected["steps"]):
        random = np.random.RandomState(numbers["seed"] * seed + k)
        images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
        labels = random.randint(0, {2: 4, 3: 2}[dimensions], (2, *shape[2:]))
        batch = batch_of(images, labels, None, row["iteration"], total, torch.float64)
        losses = {name: value.item() for name, value in step(method, updates, batch, CPU).items()}

        assert updates[0].optimizer.param_groups[0]["lr"] == pytest.approx(row["learning_rate"], rel=1e-12)
        for j, (name, network) in enumerate(networks.items(), start=1):
            losses[f"loss_{j}"] = losses[f"supervised_{j}"] + losses["weight"] * losses[f"cross_{j}"]
            assert targets[2 - j].flatten().bincount().tolist() == row[f"pseudo_counts_{j}"]
            got = {
                "param_l2": norm(network.parameters()),
                "change_l2": change(network.parameters(), start[name]),
                "running_l2": norm(running_statistics(network)),
                "grad_l2": norm(p.grad for p in network.parameters()),
            }
            assert got == pytest.approx(row[name], rel=1e-6)
        for name, value in row.items():
            if name in losses:
                assert losses[name] == pytest.approx(value, rel=1e-6), (k, name)
        targets.clear()
    assert learning_rate(settings.options, row["iteration"] + 1, total) == expected["next_learning_rate"]
