"""MC-Net: released forwards, losses and steps, the equations in plain NumPy, and its presets."""

import re
from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods.mc_net import sharpen
from m3hl.methods.parts.schedules import ramp_of_run
from m3hl.training.step import step
from tests.conftest import dropout_off, weights_of
from tests.methods.lineage import assert_published, published, softmax
from tests.methods.replay import batch_of, change, copies, logits_of, norm, running_statistics

CPU = Execution(torch.device("cpu"))
CROP = {2: (64, 64), 3: (32, 32, 32)}
SHAPES = {2: (3, 4, 24, 24), 3: (2, 2, 12, 12, 8)}
CLASSES = {2: 4, 3: 2}


@pytest.fixture
def numbers(released):
    return released("mc-net")


def tolerance(numbers, item, key):
    """Return how closely a number of an item is asked for."""
    rows = numbers["tolerance"]["float32"]
    return next((v for pattern, v in rows.items() if fnmatch(f"{item}.{key}", pattern)), rows["default"])


@pytest.fixture
def fill(numbers, reference):
    """Return a function that gives a method the released weights, without dropout."""

    def give(method):
        dimensions = method.settings.dimensions
        reference.fill(method.student, dimensions, numbers["seed"])
        layers = numbers[f"extra_layers_{dimensions}d"]
        assert len(layers) == len(list(method.decoders.parameters()))
        with torch.no_grad():
            for layer in layers:
                decoder, name = layer["where"].split(".", 1)
                # In 3D interpolation stands before the convolution, and has no parameters.
                name = re.sub(r"(?<=^up[5-8]\.)\d", lambda index: str(int(index[0]) + 1), name)
                parameter = method.decoders[int(decoder[-1]) - 2].get_parameter(name)
                parameter.copy_(weights_of(layer, numbers["seed"]))
        return dropout_off(method)

    return give


@pytest.mark.parametrize("dimensions", [2, 3])
@torch.no_grad()
def test_decoders_give_what_the_released_ones_give(numbers, make_settings, fill, dimensions):
    method = fill(methods.build(make_settings(dimensions, method="mc-net", channels=16)))
    random = np.random.RandomState(numbers["seed"] + {2: 7, 3: 8}[dimensions])
    images = torch.from_numpy(random.standard_normal((2, 1, *CROP[dimensions])).astype(np.float32))
    every = {2: 2, 3: 4}[dimensions]
    for mode in ("eval", "train"):
        method.train(mode == "train")
        # The images' own pass, as running statistics would move with each.
        levels = method.student.encoder(images).levels
        for k, decoder in enumerate((method.student.decoder, *method.decoders), start=1):
            name = f"forward_{dimensions}d_{mode}_decoder{k}"
            logits = decoder(levels).logits
            found = {"mean": logits.mean().item(), "l2": norm([logits])}
            assert found == pytest.approx(numbers[name], rel=1e-4), name
            numbers.check(name, logits[(..., *[slice(None, None, every)] * dimensions)])


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("preset", "decoders"), [("released", 3), ("mc-net", 2)])
def test_number_of_parameters(numbers, make_settings, dimensions, preset, decoders):
    method = methods.build(make_settings(dimensions, method="mc-net", preset=preset, channels=16))
    count = sum(p.numel() for p in method.parameters())
    assert count == numbers["parameters"][f"{dimensions}d_{decoders}_decoders"]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_losses_and_their_gradients_are_the_released_ones(numbers, make_settings, dimensions):
    random, shape = np.random.RandomState(numbers["seed"] * 91 + dimensions), SHAPES[dimensions]
    a, b = (logits_of(random, shape, 2) for _ in range(2))
    labels = torch.from_numpy(random.randint(0, CLASSES[dimensions], (shape[0], *shape[2:])))
    method = methods.build(make_settings(dimensions, method="mc-net"))
    sharpened = sharpen(b.softmax(1), method.options.temperature)
    numbers.check(f"sharpened_{dimensions}d", sharpened[:1].detach())
    loss, row = (a.softmax(1) - sharpened).square().mean(), numbers[f"pair_{dimensions}d"]
    sizes = [norm([g]) for g in torch.autograd.grad(loss, [a, b])]
    assert [loss.item(), *sizes] == pytest.approx(
        [row[key] for key in ("loss", "grad_l2_prediction", "grad_l2_sharpened")], rel=1e-4
    )
    loss, row = method.supervised_loss(a.softmax(1), labels), numbers[f"supervised_{dimensions}d"]
    sizes = [norm(torch.autograd.grad(loss, a))]
    assert [loss.item(), *sizes] == pytest.approx([row["loss"], row["grad_l2"]], rel=1e-4)


def test_weights_are_the_released_ones(numbers):
    for dimensions, kind in ((2, "acdc"), (3, "la")):
        options = published("mc-net", kind).options
        for t, weight in numbers[f"weight_{dimensions}d"].items():
            batch = batch_of(np.zeros((1, 1, 4, 4)), np.zeros((0, 4, 4), int), iteration=int(t))
            ramp = ramp_of_run(batch, options.ramp_length, options.ramp_step, options.ramp_start)
            assert options.weight * ramp == pytest.approx(weight, rel=1e-9)


@pytest.mark.parametrize("item", ["steps_2d", "steps_3d"])
def test_two_steps_are_the_released_ones(numbers, make_settings, fill, item):
    dimensions = int(item[6])
    settings = make_settings(dimensions, method="mc-net", crop=CROP[dimensions], channels=16)
    method = fill(methods.build(settings).train())
    parts = {"encoder": method.student.encoder, "decoder1": method.student.decoder}
    parts |= {f"decoder{k}": decoder for k, decoder in enumerate(method.decoders, start=2)}
    starts, updates = {name: copies(part.parameters()) for name, part in parts.items()}, method.updates()
    for k, row in enumerate(numbers[item]):
        random = np.random.RandomState(numbers["seed"] * {2: 81, 3: 82}[dimensions] + k)
        shape = (4, 1, *CROP[dimensions])
        images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
        labels = random.randint(0, CLASSES[dimensions], (2, *CROP[dimensions]))
        losses = step(method, updates, batch_of(images, labels, iteration=row["iteration"]), CPU)
        found = {name: value.item() for name, value in losses.items()} | {
            "dice": losses["supervised"].item(),
            "param_l2": {name: norm(part.parameters()) for name, part in parts.items()},
            "moved_l2": {name: change(part.parameters(), starts[name]) for name, part in parts.items()},
            "grad_l2": {name: norm(p.grad for p in part.parameters()) for name, part in parts.items()},
            "running_l2": {name: norm(running_statistics(part)) for name, part in parts.items()},
        }
        found["param_l2"]["all"] = norm(method.parameters())
        for key, value in row.items():
            if key != "iteration":
                assert found[key] == pytest.approx(value, rel=tolerance(numbers, item, key)), (k, key)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("decoders", [2, 3])
def test_a_step_in_numpy(make_settings, make_batch, dimensions, decoders):
    crop = {2: (32, 32), 3: (16, 16, 16)}[dimensions]
    options = {"decoders": decoders, "weight": 0.7, "supervised_weight": 0.4, "ramp_length": 20}
    settings = make_settings(dimensions, method="mc-net", crop=crop, channels=4, temperature=0.5, **options)
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=1649)
    encoded, logits = [], []
    method.student.encoder.register_forward_hook(lambda _, args, out: encoded.append((args[0], out)))
    for decoder in (method.student.decoder, *method.decoders):
        decoder.register_forward_hook(lambda _, args, out: logits.append((args[0], out.logits)))
    found = {name: value.item() for name, value in method.losses(batch).items()}
    ((seen, out),) = encoded
    assert torch.equal(seen, torch.cat([batch.labeled_images, batch.unlabeled_images]))
    assert len(logits) == decoders
    assert all(levels is out.levels for levels, _ in logits)
    p, y = [softmax(z.detach().double().numpy()) for _, z in logits], batch.labels.numpy()
    axes = (0, *range(2, p[0].ndim))
    truth = np.stack([y == c for c in range(p[0].shape[1])], axis=1).astype(float)
    p_l = [q[:2] for q in p]
    if dimensions == 2:
        dice = [(1 - (q * truth).sum(axes) / ((q**2).sum(axes) + truth.sum(axes))).mean() for q in p_l]
    else:
        dice = [1 - 2 * (q * truth).sum(axes)[1] / (q + truth).sum(axes)[1] for q in p_l]
    sharp = [q**2 / (q**2 + (1 - q) ** 2) for q in p]
    expected = {
        "supervised": sum(dice),
        "consistency": sum(((q - s) ** 2).mean() for i, q in enumerate(p) for j, s in enumerate(sharp) if i != j),
        "weight": 0.7 * np.exp(-5 * (1 - 11 / 20) ** 2),
    }
    expected["loss"] = 0.4 * expected["supervised"] + expected["weight"] * expected["consistency"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_gradients_flow_through_the_sharpened_maps_too(make_settings):
    method = methods.build(make_settings(2, method="mc-net"))
    p = [torch.rand(2, 2, 2, 2, dtype=torch.float64).softmax(1).requires_grad_() for _ in range(3)]
    assert torch.autograd.gradcheck(lambda *maps: method.consistency_loss(list(maps)), p)


def test_the_first_decoder_alone_is_the_result(make_settings):
    method = methods.build(make_settings(3, method="mc-net"))
    assert method.results() == method.networks() == {"student": method.student}
    trained = {id(p) for group in method.updates()[0].optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in method.parameters()}


BOTH = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "learning_rate_power": None,
    "learning_rate_lag": False, "learning_rate_decay_every": None, "decoders": 3, "temperature": 0.1,
    "ramp_step": 150, "ramp_start": 1,
}  # fmt: skip
ACDC = BOTH | {"dice": "halved", "supervised_weight": 1.0, "weight": 0.1, "ramp_length": 200}
LA = BOTH | {"dice": "plain", "supervised_weight": 0.5, "weight": 1.0, "ramp_length": 40}


def test_presets_are_as_the_page_says():
    assert_published("mc-net", "acdc", ACDC, (12, 12, 30_000))
    assert_published("mc-net", "la", LA, (2, 2, 15_000))
    assert_published("mc-net", "la", LA | {"decoders": 2}, (2, 2, 15_000), preset="mc-net")


def test_a_class_that_is_absent_costs_what_is_left_of_it(make_settings):
    method = methods.build(make_settings(2, method="mc-net"))
    labels = torch.zeros(2, 4, 4).long()
    p = torch.full((2, 4, 4, 4), 1e-6)
    p[:, 0] = 1
    # 1/2 for the class that is met, 1 for each of the three that are not there: no ε above the line.
    assert method.supervised_loss(p, labels).item() == pytest.approx((0.5 + 3) / 4, rel=1e-6)
