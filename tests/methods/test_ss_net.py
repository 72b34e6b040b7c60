"""SS-Net: released numbers in single and double precision, the equations in plain NumPy, passes and its preset."""

from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods import ss_net
from m3hl.methods.parts import adversarial, noise, prototypes
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.prototypes import Prototypes
from m3hl.methods.parts.schedules import ramp_of_run
from m3hl.training.step import step
from tests.conftest import weights_of
from tests.methods.lineage import assert_published, keep, published, softmax
from tests.methods.replay import batch_of, change, copies, norm, running_statistics

CPU = Execution(torch.device("cpu"))
CROP = {2: (64, 64), 3: (32, 32, 32)}


@pytest.fixture
def numbers(released):
    return released("ss-net")


def floats(values, dtype=torch.float32):
    """Return numbers rounded to single precision, as the fixtures have them."""
    return torch.from_numpy(values.astype(np.float32)).to(dtype)


def identity(rows):
    return rows


def fill_heads(numbers, heads, dimensions):
    """Give heads the released weights, but for the memory's selectors, which there are not."""
    found = 0
    with torch.no_grad():
        for layer in numbers[f"head_layers_{dimensions}d"]:
            if not layer["where"].startswith("memory"):
                name = layer["where"].replace("selector", "selectors.")
                heads.get_parameter(name).copy_(weights_of(layer, numbers["seed"]))
                found += 1
    assert found == len(list(heads.parameters()))
    return heads


@pytest.fixture
def heads(numbers):
    """Return the heads for slices, with the released weights."""
    return fill_heads(numbers, Prototypes(16, 4), 2).train()


def running(part):
    return norm(running_statistics(part))


def test_heads_are_the_released_ones(numbers, heads):
    rows = floats(np.random.RandomState(numbers["seed"] * 90 + 1).standard_normal((60, 16)))
    numbers.check("heads_projection_eval", heads.projection(rows).detach())
    first, everyone = heads.projection, [(rows, torch.ones(60, 1))]
    before = copies(running_statistics(first))
    moments = prototypes.group_of(prototypes.group_moments(everyone), 0)
    layer = prototypes.folded(first.norm, first.linear1.weight, first.linear1.bias, moments)
    numbers.check("heads_projection_train", first.second(rows, *layer).detach())
    for statistic, value in zip(running_statistics(first), before, strict=True):
        statistic.copy_(value)
    q = heads.predictor([rows])(rows)
    numbers.check("heads_prediction_train", q.detach())
    classes = torch.ones(60, dtype=torch.long)
    layers = heads.folded_selectors(heads.class_moments([(q, classes)], identity), torch.tensor([1, 0, 0]))
    numbers.check("heads_selector1_train", heads.scores(q, layers).detach()[:, :1])
    expected = numbers["heads_running_l2"]
    found = {name: running(getattr(heads, name)) for name in ("projection", "prediction", "selectors")}
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-5)


def features(numbers):
    """Return H and its labels."""
    random = np.random.RandomState(numbers["seed"] * 90 + 2)
    rows, labels = floats(random.standard_normal((400, 32))), random.randint(1, 3, 400)
    labels[0] = 3
    return rows, torch.from_numpy(labels)


def remembered(heads, rows):
    """Return which rows each class's memory holds, in order."""
    found = []
    for memory, count in zip(heads.memory, heads.count.int().tolist(), strict=True):
        same = (memory[:count, None] == rows).all(2)
        assert (same.sum(1) == 1).all()
        assert (memory[count:] == 0).all()
        found.append(same.int().argmax(1).tolist())
    return found


def test_memory_is_the_released_one(numbers, heads):
    rows, labels = features(numbers)
    heads.remember(rows, labels, identity)
    assert remembered(heads, rows) == numbers["memory_first"]
    heads.remember(rows[350:], labels[350:], identity)
    assert remembered(heads, rows) == numbers["memory_second"]
    assert running(heads.selectors) == pytest.approx(numbers["memory_running_l2"], rel=1e-5)


@pytest.mark.parametrize("name", ["contrast", "contrast_three_classes", "contrast_one_feature"])
def test_pull_and_its_gradients_are_the_released_ones(numbers, heads, name):
    random, (stored, _) = np.random.RandomState(numbers["seed"] * 90 + 3), features(numbers)
    q, labels = floats(random.standard_normal((300, 32))).requires_grad_(), random.randint(0, 4, 300)
    held = list(numbers["memory_first"])
    if name != "contrast":
        held[3] = list(range(5))
    if name.endswith("one_feature"):
        labels[np.flatnonzero(labels == 2)[1:]] = 0
    for c, indices in enumerate(held):
        heads.memory[c, : len(indices)], heads.count[c] = stored[indices], len(indices)
    pull = heads.attraction(q.split(prototypes.ROWS), torch.from_numpy(labels), identity)
    pull.backward()
    row = numbers[name]
    assert pull.item() == pytest.approx(row["loss"], rel=1e-5)
    assert norm([q.grad]) == pytest.approx(row["grad_l2"], rel=1e-5)
    for selector, expected in zip(heads.selectors, row["selector_grad_l2"], strict=True):
        gradients = [p.grad for p in selector.parameters() if p.grad is not None]
        assert (norm(gradients) if gradients else 0.0) == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert running(heads.selectors) == pytest.approx(row["selector_running_l2"], rel=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_both_dice_losses_are_the_released_ones(numbers, make_settings, dimensions):
    random, shape = np.random.RandomState(numbers["seed"] * 90 + dimensions + 2), {2: (24, 24), 3: (12, 12, 8)}
    count, classes = {2: (3, 4), 3: (2, 2)}[dimensions]
    a, b = (floats(2 * random.standard_normal((count, classes, *shape[dimensions]))) for _ in range(2))
    labels = torch.from_numpy(random.randint(0, classes, (count, *shape[dimensions])))
    method = methods.build(make_settings(dimensions, method="ss-net"))
    a.requires_grad_()
    found = {
        "distance": method.distance(a.softmax(1), b.softmax(1)),
        "supervised": method.supervised_loss(a.softmax(1), labels),
    }
    for name, loss in found.items():
        row = numbers[f"{name}_{dimensions}d"]
        assert loss.item() == pytest.approx(row["loss"], rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, a)
        assert norm([gradient]) == pytest.approx(row["grad_l2"], rel=1e-4)


def test_weights_and_rates_are_the_released_ones(numbers):
    for dimensions, kind in ((2, "acdc"), (3, "la")):
        options = published("ss-net", kind).options
        for t, weight in numbers[f"weight_{dimensions}d"].items():
            batch = batch_of(np.zeros((1, 1, 4, 4)), np.zeros((0, 4, 4), int), iteration=int(t))
            ramp = ramp_of_run(batch, options.ramp_length, options.ramp_step, options.ramp_start)
            assert options.weight * ramp == pytest.approx(weight, rel=1e-9)
    for t, rate in numbers["learning_rate_3d"].items():
        assert learning_rate(options, int(t), 15_000) == pytest.approx(rate, rel=1e-9)


def tolerance(numbers, item, key):
    """Return how closely a number of an item is asked for."""
    if item.endswith("float64"):
        return numbers["tolerance"]["float64"]
    rows = numbers["tolerance"]["float32"]
    return next((v for pattern, v in rows.items() if fnmatch(f"{item}.{key}", pattern)), rows["default"])


class Spy:
    """What the adversarial part computes on its way."""

    def __init__(self, monkeypatch, method, start):
        self.vectors, self.distances, self.directions = [], [], []
        keep(monkeypatch, method, "distance", lambda d: self.distances.append(d.item()))
        keep(monkeypatch, adversarial, "unit", lambda found: self.directions.append(found[0]))
        original = adversarial.unit

        def unit(vectors):
            self.vectors.append([norm([one]) for one in vectors[0]])
            return original(vectors)

        monkeypatch.setattr(adversarial, "unit", unit)
        monkeypatch.setattr(noise, "uniform", lambda like, _: start.reshape(like.shape))

    def facts(self):
        return {"first": self.distances[0], "start_l2": self.vectors[0], "gradient_l2": self.vectors[1]}


@pytest.mark.parametrize("item", ["vat_2d", "vat_3d", "vat_2d_float64", "vat_3d_float64"])
def test_adversarial_loss_is_the_released_one(numbers, reference, make_settings, monkeypatch, item):
    dimensions, dtype = int(item[4]), torch.float64 if item.endswith("float64") else torch.float32
    random = np.random.RandomState(numbers["seed"] * 90 + dimensions + 4)
    shape = (2, 1, *CROP[dimensions])
    images = floats(random.rand(*shape) if dimensions == 2 else random.standard_normal(shape), dtype)
    start = floats(random.rand(*shape), dtype)
    settings = make_settings(dimensions, method="ss-net", crop=CROP[dimensions], channels=16)
    method = methods.build(settings).train()
    reference.fill(method.student, dimensions, numbers["seed"])
    method.to(dtype)
    spy = Spy(monkeypatch, method, start)
    loss = method.adversarial_loss(images, torch.Generator())
    assert all(p.grad is None for p in method.student.parameters())
    loss.backward()
    found = spy.facts() | {
        "loss": loss.item(),
        "param_grad_l2": norm(p.grad for p in method.student.parameters()),
        "running_l2": running(method.student),
    }
    found["first_distance"] = found.pop("first")
    for key, value in numbers[item].items():
        assert found[key] == pytest.approx(value, rel=tolerance(numbers, item, key)), key
    if dtype == torch.float64:
        places = (..., *[slice(None, None, dimensions - 1)] * dimensions)
        numbers.check(f"vat_{dimensions}d_direction", spy.directions[1][places], rtol=1e-4)


ITEMS = ["steps_2d_float64", "steps_3d_float64", "steps_2d", "steps_3d"]


@pytest.mark.parametrize("item", ITEMS)
def test_two_steps_are_the_released_ones(numbers, reference, make_settings, monkeypatch, item):
    dimensions, dtype = int(item[6]), torch.float64 if item.endswith("float64") else torch.float32
    settings = make_settings(
        dimensions, method="ss-net", crop=CROP[dimensions], channels=16, learning_rate_decay_every=None
    )
    method = methods.build(settings).train()
    reference.fill(method.student, dimensions, numbers["seed"])
    fill_heads(numbers, method.prototypes, dimensions)
    method.to(dtype)
    heads = method.prototypes
    parts = {
        "backbone": method.student,
        "projection": heads.projection,
        "prediction": heads.prediction,
        "selectors": heads.selectors,
    }
    starts = {name: copies(part.parameters()) for name, part in parts.items()}
    updates, taken = method.updates(), []
    remember, pull = heads.remember, heads.pull
    monkeypatch.setattr(heads, "remember", lambda r, c, p: (taken.append(c), remember(r, c, p)))
    monkeypatch.setattr(heads, "pull", lambda r, c: (taken.append(c), pull(r, c))[1])
    for k, row in enumerate(numbers[item]):
        random = np.random.RandomState(numbers["seed"] * {2: 79, 3: 80}[dimensions] + k)
        shape, classes = (4, 1, *CROP[dimensions]), {2: 4, 3: 2}[dimensions]
        images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
        labels = random.randint(0, classes, (2, *CROP[dimensions]))
        with monkeypatch.context() as patch:
            spy = Spy(patch, method, floats(random.rand(*shape), dtype))
            rng = np.random.default_rng(0)
            losses = step(method, updates, batch_of(images, labels, rng, row["iteration"], dtype=dtype), CPU)
        right, _, pseudo = (c.bincount(minlength=classes) for c in taken)
        taken.clear()
        right[0] = 0
        facts = spy.facts()
        found = {name: value.item() for name, value in losses.items()} | {
            "dice": losses["supervised"].item(),
            "vat": losses["adversarial"].item(),
            "vat_first_distance": facts["first"],
            "vat_gradient_l2": facts["gradient_l2"],
            "contrast_labeled": losses["pull_labeled"].item(),
            "contrast_unlabeled": losses["pull_unlabeled"].item(),
            "memory_rows": heads.count.int().tolist(),
            "param_l2": {name: norm(part.parameters()) for name, part in parts.items()},
            "grad_l2": {
                name: norm(p.grad for p in part.parameters() if p.grad is not None) for name, part in parts.items()
            },
            "moved_l2": {name: change(part.parameters(), starts[name]) for name, part in parts.items()},
            "running_l2": {name: running(part) for name, part in parts.items()},
        }
        for key, value in row.items():
            if key.endswith("per_class"):
                counts = {"correct_per_class": right, "pseudo_per_class": pseudo}[key].tolist()
                assert counts == pytest.approx(value, abs=0 if dtype == torch.float64 else 5), (k, key)
            elif key != "iteration":
                if isinstance(value, dict):
                    # Those of the memory's selectors, which nothing depends on.
                    value = {name: value[name] for name in parts}
                assert found[key] == pytest.approx(value, rel=tolerance(numbers, item, key)), (k, key)


def plain_pull(rows, classes, memory, counts, heads):
    """Return L_cl with the heads' layers one after the other, and all pairs of voxels and prototypes."""

    def layers(head, x):
        return head.linear2(torch.nn.functional.leaky_relu(head.norm(head.linear1(x)), head.slope))

    q, total = layers(heads.prediction, layers(heads.projection, rows)), 0.0
    for c, selector in enumerate(heads.selectors):
        own, held = q[classes == c], memory[c, : int(counts[c])]
        if len(own) >= 2 and len(held) >= 2:
            scores = layers(selector, own.detach()).sigmoid()
            unit, unit_held = (x / x.norm(dim=1, keepdim=True) for x in (own, held))
            total = total + (scores / scores.sum() * len(own) * (1 - unit @ unit_held.T)).mean()
    return total / len(heads.selectors)


@pytest.mark.parametrize("part", [7, 100])
def test_in_parts_the_pull_is_that_of_layer_after_layer(numbers, heads, rng, monkeypatch, part):
    monkeypatch.setattr(prototypes, "ROWS", part)
    heads.double()
    # Class 3 has prototypes and a single voxel, class 2 voxels and a single prototype.
    rows, classes = torch.from_numpy(rng.standard_normal((60, 16)) + 1), torch.from_numpy(rng.integers(0, 2, 60))
    classes[:10], classes[10] = 2, 3
    heads.memory[1:] = torch.from_numpy(rng.standard_normal((3, 32, 32)))
    heads.count[1:] = torch.tensor([32, 1, 20])
    heads.memory[2, 1:], heads.memory[3, 20:] = 0, 0
    results, statistics = [], [b for name, b in heads.named_buffers() if "running" in name]
    for pull in (heads.pull, lambda r, c: plain_pull(r, c, heads.memory, heads.count, heads)):
        for statistic in statistics:
            statistic.fill_(0.5)
        heads.zero_grad()
        leaf = rows.clone().requires_grad_()
        loss = pull(leaf, classes)
        loss.backward()
        gradients = [leaf.grad] + [torch.zeros_like(p) if p.grad is None else p.grad for p in heads.parameters()]
        results.append([loss.detach(), *gradients, *copies(statistics)])
    assert results[0][0] > 0
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_in_parts_the_memory_is_the_same(numbers, heads, monkeypatch):
    rows, labels = features(numbers)
    monkeypatch.setattr(prototypes, "ROWS", 33)
    heads.remember(rows, labels, identity)
    assert remembered(heads, rows) == numbers["memory_first"]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_step_in_numpy(make_settings, make_batch, monkeypatch, dimensions):
    crop = {2: (32, 32), 3: (16, 16, 16)}[dimensions]
    options = {"weight": 0.7, "pull_weight": 0.3, "ramp_length": 20, "probe": 2.0, "radius": 3.0}
    settings = make_settings(dimensions, method="ss-net", crop=crop, channels=4, **options)
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=1649)
    heads, passes, pulled, remembered_of, vectors = method.prototypes, [], [], [], []
    method.student.register_forward_hook(
        lambda module, args, out: passes.append(
            (args[0].detach().numpy(), out, module.encoder.training, torch.is_grad_enabled())
        )
    )
    keep(monkeypatch, adversarial, "unit", lambda made: vectors.append(made[0]))
    pull, remember = heads.pull, heads.remember
    monkeypatch.setattr(heads, "pull", lambda r, c: (pulled.append((r, c, copies(heads.memory))), pull(r, c))[1])
    monkeypatch.setattr(heads, "remember", lambda r, c, p: (remembered_of.append((r, c, p)), remember(r, c, p)))
    moved = [b for name, b in method.student.named_buffers() if name.endswith("num_batches_tracked")]
    found = {name: value.item() for name, value in method.losses(batch).items()}
    # The first pass and the target's move running statistics.
    assert {b.item() for b in moved} == {2}

    images = np.concatenate([batch.labeled_images, batch.unlabeled_images])
    (seen, out, *_), (again, target, _, with_gradient), (probed, *_), (noisy, last, *_) = passes
    np.testing.assert_array_equal(seen, images)
    np.testing.assert_array_equal(again, images)
    assert not with_gradient
    assert all(training for _, _, training, _ in passes)
    first, second = (vector.detach().numpy() for vector in vectors)
    np.testing.assert_allclose(probed, images + 2 * first, atol=1e-6)
    np.testing.assert_allclose(noisy, images + 3 * second, atol=1e-6)
    for vector in (first, second):
        np.testing.assert_allclose(np.sqrt((vector.reshape(4, -1) ** 2).sum(1)), 1, rtol=1e-5)

    p, t, p_noisy = (softmax(o.logits.detach().double().numpy()) for o in (out, target, last))
    y, classes = batch.labels.numpy(), p.shape[1]
    truth = np.stack([y == c for c in range(classes)], axis=1).astype(float)
    axes = (0, *range(2, p.ndim))
    p_l = p[:2]
    if dimensions == 2:
        dice = (2 * (p_l * truth).sum(axes) + 1e-10) / ((p_l**2).sum(axes) + truth.sum(axes) + 1e-10)
        near = (2 * (p_noisy * t).sum(axes) + 1e-10) / ((p_noisy**2).sum(axes) + (t**2).sum(axes) + 1e-10)
    else:
        dice = ((2 * (p_l * truth).sum(axes) + 1e-8) / (p_l.sum(axes) + truth.sum(axes) + 1e-8))[1:]
        near = (2 * (p_noisy * t).sum() + 1e-8) / (p_noisy.sum() + t.sum() + 1e-8)
    rows = np.moveaxis(out.head_input.detach().numpy(), 1, -1)
    predicted = p.argmax(1)
    ((right_rows, right, project),) = remembered_of
    np.testing.assert_array_equal(right_rows, rows[:2].reshape(-1, 4))
    np.testing.assert_array_equal(right, np.where(predicted[:2] == y, y, 0).ravel())
    assert not right_rows.requires_grad
    assert project is heads.projection
    for (r, c, _), expected, of in zip(pulled, (rows[:2], rows[2:]), (y, predicted[2:]), strict=True):
        np.testing.assert_array_equal(r.detach(), expected.reshape(-1, 4))
        np.testing.assert_array_equal(c, of.ravel())
    # Both pulls are to the memory as it has become.
    assert all(torch.equal(one, other) for one, other in zip(pulled[0][2], heads.memory, strict=True))
    # On volumes the ramp's first iteration is number 1.
    number = 10 if dimensions == 2 else 11
    expected = {
        "supervised": (1 - dice).mean(),
        "adversarial": (1 - near).mean(),
        "weight": 0.7 * np.exp(-5 * (1 - min(number, 20) / 20) ** 2),
        "prototypes": heads.count[1:].mean().item(),
        "pull_labeled": found["pull_labeled"],
        "pull_unlabeled": found["pull_unlabeled"],
    }
    both = expected["pull_labeled"] + expected["pull_unlabeled"]
    assert both > 0
    expected["loss"] = expected["supervised"] + expected["weight"] * (expected["adversarial"] + 0.3 * both)
    assert found == pytest.approx(expected, rel=2e-4)


def test_without_prototypes_nothing_pulls_and_nothing_breaks(heads):
    rows, classes = torch.randn(50, 16, requires_grad=True), torch.arange(50) % 3
    heads.remember(rows.detach(), torch.zeros(50, dtype=torch.long), heads.projection)
    pull = heads.pull(rows, classes)
    pull.backward()
    assert pull.item() == 0
    assert (rows.grad == 0).all()
    assert all(value.isfinite().all() for value in heads.state_dict().values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in heads.parameters())
    for statistic, usual in zip(running_statistics(heads.selectors[2].norm), (0, 1), strict=True):
        assert (statistic == usual).all()


def test_the_heads_are_trained_and_no_result(make_settings):
    method = methods.build(make_settings(2, method="ss-net"))
    trained = {id(p) for group in method.updates()[0].optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in method.parameters()}
    assert list(method.results()) == list(method.networks()) == ["student"]
    for dimensions, count in ((2, 1_826_828 - 4_612), (3, 9_457_318 - 2_306)):
        parts = methods.build(make_settings(dimensions, method="ss-net", channels=16)).parameters()
        # Without the memory's selectors.
        assert sum(p.numel() for p in parts) == count


BOTH = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "learning_rate_power": None,
    "learning_rate_lag": False, "ramp_step": 150, "pull_weight": 0.1, "probe": 10.0,
}  # fmt: skip
ACDC = BOTH | {
    "learning_rate_decay_every": None, "dice": "squared", "weight": 0.1, "ramp_length": 200, "ramp_start": 0,
    "radius": 6.0,
}  # fmt: skip
LA = BOTH | {
    "learning_rate_decay_every": 2500, "dice": "plain", "weight": 1.0, "ramp_length": 40, "ramp_start": 1,
    "radius": 10.0,
}  # fmt: skip


def test_the_preset_is_as_the_page_says():
    assert_published("ss-net", "acdc", ACDC, (12, 12, 30_000))
    assert_published("ss-net", "la", LA, (2, 2, 15_000))


def test_bf16_leaves_prototypes_and_direction_in_single_precision(make_settings, make_batch, monkeypatch):
    settings = make_settings(2, method="ss-net")
    method, directions, heads, logits = methods.build(settings).train(), [], [], []
    keep(monkeypatch, ss_net, "direction", directions.append)
    for name in ("remember", "pull"):
        original = getattr(Prototypes, name)

        def watched(self, rows, *others, original=original):
            heads.append((rows.dtype, torch.is_autocast_enabled("cpu")))
            return original(self, rows, *others)

        monkeypatch.setattr(Prototypes, name, watched)
    method.student.register_forward_hook(lambda _, args, out: logits.append(out.logits.dtype))
    with Execution(torch.device("cpu"), "bf16").precise():
        method.losses(make_batch(settings))
    assert torch.bfloat16 in logits
    assert heads == [(torch.float32, False)] * 3
    (found,) = directions
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.flatten(1).norm(dim=1), torch.ones(len(found)), rtol=0, atol=1e-6)
