"""CPS: the released code's numbers, the equations in plain NumPy, and what no number of its can tell."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from m3hl import methods, nets
from m3hl.compute.execution import Execution
from m3hl.config.experiment import parse_config
from m3hl.methods import cps
from m3hl.methods.parts.optimization import learning_rate
from m3hl.training.step import step
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


@pytest.mark.slow
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


def softmax(logits):
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return exponential / exponential.sum(1, keepdims=True)


def cross_entropy(p, y):
    return -np.log(np.take_along_axis(p, y[:, None], axis=1)).mean()


def supervised(p, y):
    truth = np.stack([y == c for c in range(p.shape[1])], axis=1).astype(float)
    axes = (0, *range(2, p.ndim))
    dice = (2 * (p * truth).sum(axes) + 1e-5) / ((p**2).sum(axes) + truth.sum(axes) + 1e-5)
    return (cross_entropy(p, y) + (1 - dice).mean()) / 2


def watch(network):
    """Return the list to which each forward pass will add its input, its logits and its mode."""
    passes = []
    network.register_forward_hook(
        lambda module, args, out: passes.append(
            (args[0].numpy(), out.logits.detach().double().numpy(), module.training)
        )
    )
    return passes


@pytest.mark.parametrize("cross_on", ["unlabeled", "all"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_step_in_numpy(make_settings, make_batch, dimensions, cross_on):
    options = {"cross_on": cross_on, "weight": 0.7, "ramp_length": 2}
    settings = make_settings(dimensions, method="cps", crop=(32,) * dimensions, **options)
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=160)
    passes = [watch(network) for network in (method.network_1, method.network_2)]
    got = {name: value.item() for name, value in method.losses(batch).items()}

    images = np.concatenate([batch.labeled_images, batch.unlabeled_images])
    ((seen_1, logits_1, mode_1),), ((seen_2, logits_2, mode_2),) = passes
    np.testing.assert_array_equal(seen_1, images)
    np.testing.assert_array_equal(seen_2, images)
    assert mode_1
    assert mode_2
    y, (p_1, p_2) = batch.labels.numpy(), (softmax(logits) for logits in (logits_1, logits_2))
    taught = slice(2, 4) if cross_on == "unlabeled" else slice(0, 4)
    expected = {
        "supervised_1": supervised(p_1[:2], y),
        "supervised_2": supervised(p_2[:2], y),
        "cross_1": cross_entropy(p_1[taught], p_2[taught].argmax(1)),
        "cross_2": cross_entropy(p_2[taught], p_1[taught].argmax(1)),
        "weight": 0.7 * np.exp(-5 * 0.5**2),
    }
    cross = expected["weight"] * (expected["cross_1"] + expected["cross_2"])
    expected["loss"] = expected["supervised_1"] + expected["supervised_2"] + cross
    assert got == pytest.approx(expected, rel=1e-5)


def test_a_class_that_is_absent_feels_the_epsilon_of_dice(make_settings):
    logits = torch.zeros(2, 4, 4, 4)
    logits[:, 0] = 9  # so that Σp² of the others is 2e-7
    method = recited_method(make_settings(2, method="cps"), logits, logits)
    losses = method.losses(batch_of(np.zeros((2, 1, 4, 4)), np.zeros((1, 4, 4), int)))
    expected = supervised(softmax(logits[:1].numpy()), np.zeros((1, 4, 4), int))
    assert losses["supervised_1"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("length", "expected"), [(0, 1.5), (None, 1.5 * np.exp(-5 * (1 - 2 / 4) ** 2))])
def test_a_ramp_of_no_length_and_one_of_the_runs(make_settings, make_batch, length, expected):
    settings = make_settings(2, method="cps", weight=1.5, ramp_length=length)
    batch = replace(make_batch(settings), iteration=300, iterations=600)
    assert methods.build(settings).losses(batch)["weight"].item() == pytest.approx(expected)


def test_both_networks_are_trained_selected_and_watched(make_settings):
    method = methods.build(make_settings(2, method="cps"))
    both = {"network_1": method.network_1, "network_2": method.network_2}
    assert method.results() == method.networks() == both
    (update,) = method.updates()
    assert sum(len(group["params"]) for group in update.optimizer.param_groups) == len(list(method.parameters()))


def test_in_3d_the_networks_begin_with_different_spread(make_settings):
    settings = make_settings(3, method="cps", channels=8)
    torch.manual_seed(7)
    method = methods.build(settings)
    torch.manual_seed(7)
    for network, outputs in ((method.network_1, 0), (method.network_2, 1)):
        usual = nets.build(3, 2, channels=8)
        drawn = {f"{name}.weight": m.weight for name, m in network.named_modules() if isinstance(m, nn.Conv3d)}
        assert len(drawn) == 26  # with the head and the four strided ones
        for name, value in network.named_parameters():
            # Transposed convolutions and biases are torch's.
            assert torch.equal(value, usual.get_parameter(name)) == (name not in drawn), name
        for weight in (w.detach() for w in drawn.values() if w.numel() > 2000):
            fan = weight[0].numel() + outputs * weight[:, 0].numel()
            assert weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.06)
            # Normal: a uniform distribution has a kurtosis of 1.8.
            assert (weight / weight.std()).pow(4).mean().item() == pytest.approx(3, abs=0.6)


def test_in_2d_both_networks_begin_as_torch_does_one_after_the_other(make_settings):
    settings = make_settings(2, method="cps")
    torch.manual_seed(7)
    method = methods.build(settings)
    torch.manual_seed(7)
    for network in method.trained():
        expected = nets.build(2, 4, settings.channels).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_initial_weights_come_from_the_runs_seed(make_settings, dimensions):
    def weights(seed):
        torch.manual_seed(seed)
        method = methods.build(make_settings(dimensions, method="cps"))
        return [torch.cat([p.detach().flatten() for p in network.parameters()]) for network in method.trained()]

    (one, two), again, other = weights(1), weights(1), weights(2)
    assert torch.equal(one, again[0])
    assert torch.equal(two, again[1])
    assert not torch.equal(one, other[0])
    assert not torch.equal(one, two)


@pytest.mark.parametrize(
    ("kind", "ramp", "start", "batch"), [("acdc", 200, "default", 12), ("la", 40, "normal", 2)]
)
def test_the_preset_is_as_the_table_says(kind, ramp, start, batch):
    study = {
        "name": "study",
        "datasets": {"d": {"kind": kind, "source": "public", "path": "x"}},
        "methods": {"m": {"method": "cps"}},
        "experiments": [{"dataset": ["d"], "method": ["m"], "labeled": [3]}],
    }
    config = parse_config(study)
    settings = config.settings(config.runs()[0])
    options = settings.options
    assert (options.weight, options.ramp_length, options.cross_on) == (0.1, ramp, "unlabeled")
    assert (options.initialization, options.learning_rate, options.learning_rate_decay_every) == (
        start,
        0.01,
        None,
    )
    assert (options.learning_rate_power, options.learning_rate_lag) == (0.9, False)
    assert (settings.labeled_batch, settings.unlabeled_batch) == (batch, batch)


def test_its_learning_curve_has_both_networks(launch, run_settings, tmp_path):
    training = launch(run_settings(2, method="cps", iterations=2, validate_every=2), tmp_path)
    assert list(training.history.rows[-1]) == [
        "iteration", "learning_rate", "loss", "supervised_1", "supervised_2", "cross_1", "cross_2", "weight",
        "val_network_1_dice", "val_network_2_dice", "pseudo_network_1_dice", "pseudo_network_2_dice",
    ]  # fmt: skip
    assert list(training.selections) == ["network_1", "network_2"]
