"""PS-MT: the numbers of the released code around our networks, the equations in plain NumPy, and our choices."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods import ps_mt
from m3hl.methods.method import Selected
from m3hl.methods.parts import t_vat
from m3hl.methods.parts.boxes import box_masks
from m3hl.methods.parts.cut_mix import CutMix
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.schedules import cosine_ramp
from m3hl.methods.parts.strong import strong
from m3hl.methods.parts.t_vat import divergence, worst_perturbation
from m3hl.training.step import step
from tests.conftest import dropout_off
from tests.methods.lineage import assert_published, dice_terms, keep, rounded, scale_head, softmax
from tests.methods.replay import (
    batch_of,
    boxes_of,
    change,
    copies,
    logits_of,
    norm,
    running_statistics,
    state_of,
    watch,
)

CPU = Execution(torch.device("cpu"))
NETWORKS = {"student": 1, "teacher_1": 2, "teacher_2": 3}
STEPS = {
    "steps_2d": (2, 850, 2, 3, (64, 64)),
    "steps_3d": (3, 860, 1, 3, (32, 32, 32)),
    "steps_2d_without_t_vat": (2, 850, 2, 3, (64, 64)),
}
"""Dimensions, seed, labeled and unlabeled samples, and size."""


@pytest.fixture
def numbers(released):
    return released("ps-mt")


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_strict_loss_is_the_released_one(numbers, dimensions):
    factor, shape = {2: (811, (3, 4, 24, 20)), 3: (812, (2, 2, 12, 10, 8))}[dimensions]
    random = np.random.RandomState(factor * numbers["seed"])
    logits, target = logits_of(random, shape, 2), logits_of(random, shape, 1.2).detach()
    confidence, labels = target.softmax(1).max(1)
    for row in numbers["conf_ce"][f"{dimensions}d"]:
        mask = (confidence >= row["threshold"]).float()
        assert mask.sum().item() == row["kept"]
        loss = ps_mt.confident_cross_entropy(logits, labels, confidence, mask)
        assert loss.item() == pytest.approx(row["value"], rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.norm().item() == pytest.approx(row["grad_l2"] or 0.0, rel=1e-5)


def test_schedules_are_the_released_ones(numbers, make_settings):
    row = numbers["weight"]
    for t, weight in zip(row["iterations"], row["weight"], strict=True):
        assert row["final"] * cosine_ramp(t, row["length"]) == pytest.approx(weight)
    options, row = make_settings(2, method="ps-mt").options, numbers["learning_rate"]
    for t, rate in enumerate(row["per_iteration"]):
        assert learning_rate(options, t, row["total"]) == pytest.approx(rate)


def test_with_so_few_classes_the_released_exchange_of_logits_is_none(numbers):
    row = numbers["assistant"]
    random = np.random.RandomState(813 * numbers["seed"])
    core, assistant = random.standard_normal((2, 2, 4, 10, 9))

    def exchanged(count):
        """Return the assistant's logits of its greatest classes, and the core's of the others."""
        rank = (-assistant).argsort(1).argsort(1)
        return np.where(rank < count, assistant, core)

    assert np.linalg.norm(exchanged(2)) == pytest.approx(row["k2_l2"], rel=1e-5)
    assert exchanged(2).sum() == pytest.approx(row["k2_sum"], rel=1e-5)
    assert np.linalg.norm((core + exchanged(2)) / 2) == pytest.approx(row["mean_logits_l2"], rel=1e-5)
    # The code keeps seven, and there are two or four.
    assert row["k4_is_identity"] == (exchanged(min(7, 4)) == assistant).all()


def test_mixing_is_the_released_one(numbers):
    row = numbers["cut_mix"]
    random = np.random.RandomState(814 * numbers["seed"])
    images = torch.from_numpy(random.rand(4, 1, 60, 44).astype(np.float32))
    logits = torch.from_numpy(random.standard_normal((4, 4, 60, 44)).astype(np.float32))
    mixed = CutMix(torch.tensor(row["permutation"]), box_masks(boxes_of(row), (60, 44), images.device))
    assert mixed(images).norm().item() == pytest.approx(row["image_l2"], rel=1e-5)
    assert (mixed(images) - images).norm().item() == pytest.approx(row["image_moved_l2"], rel=1e-5)
    assert (mixed(logits) - logits).norm().item() == pytest.approx(row["logits_moved_l2"], rel=1e-5)


def test_t_vat_is_the_released_one(numbers, monkeypatch):
    seed = numbers["seed"]
    f, d = (np.random.RandomState(n * seed) for n in (815, 816))
    features = torch.from_numpy(f.standard_normal((2, 3, 8, 8)).astype(np.float32))
    noise = torch.from_numpy(d.rand(2, 3, 8, 8).astype(np.float32))
    decoders = [decoder(np.random.RandomState(n * seed)) for n in (817, 818)]

    def decode(levels):
        return sum(one(levels[0]) for one in decoders) / 2

    for j, row in enumerate(numbers["t_vat"]):
        monkeypatch.setattr(t_vat, "uniform", lambda *_: noise.clone())
        (found,) = worst_perturbation(decode, [features], None, probe=row["xi"], size=row["eps"])
        numbers.check(f"t_vat_{j}", found)
        assert found.flatten(1).norm(dim=1).tolist() == pytest.approx(row["norms"], rel=1e-4)
        with torch.no_grad():
            after = divergence(decode([features]).log_softmax(1), decode([features + found]))
        assert after.item() == pytest.approx(row["kl_after"], rel=1e-4)


def decoder(random):
    """Return the small decoder that the fixtures describe."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Softplus(), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        for parameter, size in zip(network.parameters(), (0.4, 0.1, 0.6, 0.1), strict=True):
            parameter.copy_(torch.from_numpy(size * random.standard_normal(tuple(parameter.shape))))
    return network.requires_grad_(False)


def features_of_a_sample(method, size):
    """Return how many features all levels have together."""
    levels, _ = method.student.encoder(torch.zeros(1, 1, *size))
    return [level.numel() for level in levels]


@pytest.fixture
def reciting(monkeypatch):
    """Return a function that lets each of T-VAT's calls begin where the fixtures say, and lists what it finds."""

    def recite(method, seed, size):
        found, sizes = [], features_of_a_sample(method.eval(), size)
        method.train()
        original = ps_mt.worst_perturbation

        def recorded(decode, levels, generator, **how):
            random = np.random.RandomState(85 * seed + len(found))
            drawn = rounded(random.rand(len(levels[0]), sum(sizes)))
            waiting = list(drawn.split(sizes, dim=1))
            monkeypatch.setattr(t_vat, "uniform", lambda like, _: waiting.pop(0).reshape(like.shape).clone())
            changes = original(decode, levels, generator, **how)
            with torch.no_grad():
                moved = [f + r for f, r in zip(levels, changes, strict=True)]
                after = divergence(decode([f.detach() for f in levels]).log_softmax(1), decode(moved))
            lengths = torch.stack([r.flatten(1).square().sum(1) for r in changes]).sum(0).sqrt()
            found.append((lengths.tolist(), after.item()))
            return changes

        monkeypatch.setattr(ps_mt, "worst_perturbation", recorded)
        return found

    return recite


def spare_norms_and_biases(optimizer):
    """Let weight decay act on the weights of convolutions alone."""
    (group,) = optimizer.param_groups
    rest = [p for p in group["params"] if p.ndim == 1]
    group["params"] = [p for p in group["params"] if p.ndim > 1]
    optimizer.add_param_group({"params": rest, "weight_decay": 0.0})


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_steps_are_the_released_ones(numbers, reference, make_settings, monkeypatch, reciting, name):
    dimensions, factor, labeled, unlabeled, size = STEPS[name]
    expected, t_vat_is_on = numbers[f"steps_{dimensions}d"], not name.endswith("t_vat")
    settings = make_settings(
        dimensions,
        method="ps-mt",
        channels=16,
        crop=size,
        supervised="ce",
        probe=expected["xi"] if t_vat_is_on else None,
        perturbation=expected["eps"],
        confidence_threshold=expected["threshold"],
        ramp_share=2 / 3,
    )
    method = methods.build(settings, 1).train()
    networks = {key: getattr(method, key) for key in NETWORKS}
    for key, network in networks.items():
        reference.fill(network, dimensions, numbers["seed"] + NETWORKS[key])
    start = {key: copies(network.parameters()) for key, network in networks.items()}
    found = reciting(method, numbers["seed"], size) if t_vat_is_on else None
    # In double precision, as T-VAT lets rounding grow; with the weight decay of the code for photographs.
    method.double()
    updates, seed, rows = method.updates(), numbers["seed"], expected["steps"]
    spare_norms_and_biases(updates[0].optimizer)
    for k, row in enumerate(rows):
        row = row if t_vat_is_on else {**row, **numbers[name][k]}
        random = np.random.RandomState(factor * seed + k)
        draw = random.rand if dimensions == 2 else lambda *shape, r=random: r.standard_normal(shape)
        images, weak = draw(labeled, 1, *size), draw(unlabeled, 1, *size)
        second = rounded(weak + 0.3 * random.standard_normal(weak.shape))
        labels = random.randint(0, {2: 4, 3: 2}[dimensions], (labeled, *size))
        batch = batch_of(np.concatenate([images, weak]), labels, None, k, len(rows), torch.float64)
        batch = replace(batch, rng=np.random.default_rng(0), unlabeled_pass=k)
        views = {id(batch.labeled_images): batch.labeled_images, id(batch.unlabeled_images): second}
        monkeypatch.setattr(ps_mt, "strong_view", lambda seen, _, v=views: v[id(seen)])
        mixing = CutMix(torch.tensor(row["permutation"]), box_masks(boxes_of(row), size, second.device))
        monkeypatch.setattr(CutMix, "draw", lambda *_, m=mixing: m)
        losses = {key: value.item() for key, value in step(method, updates, batch, CPU).items()}

        voxels = unlabeled * np.prod(size)
        assert losses["confident"] * voxels == pytest.approx(row["kept"], rel=1e-3)
        assert losses["active_teacher"] == row["updated_teacher"]
        got = {
            "loss": losses["loss"],
            "loss_labeled": losses["supervised"],
            "weighted_loss_unlabeled": losses["weight"] * losses["unlabeled"],
            "weight": losses["weight"],
            "learning_rate": updates[0].optimizer.param_groups[0]["lr"],
        }
        for key, network in networks.items():
            short = key.replace("_", "")
            got[f"{short}_param_l2"] = norm(network.parameters())
            got[f"{short}_running_l2"] = norm(running_statistics(network))
            got[f"{short}_moved_l2"] = change(network.parameters(), start[key])
        tolerance = {"student_moved_l2": 3e-3 if t_vat_is_on else 1e-3}
        given = row if t_vat_is_on else numbers[name][k]
        for key in got.keys() & given.keys():
            assert got[key] == pytest.approx(given[key], rel=tolerance.get(key, 1e-4)), (k, key)
        if t_vat_is_on:
            lengths, after = zip(*found[2 * k :], strict=True)
            assert [*lengths] == [pytest.approx(each, rel=1e-4) for each in row["perturbation_l2"]]
            assert after == pytest.approx(row["divergence_after"], rel=1e-3)


@pytest.mark.slow
def test_the_released_t_vat_does_nothing(numbers, reference, make_settings):
    size, seed = (64, 64), numbers["seed"]
    method = methods.build(make_settings(2, method="ps-mt", channels=16, crop=size, probe=1e-6), 1)
    for key, number in NETWORKS.items():
        reference.fill(getattr(method, key), 2, seed + number)
    method.eval()
    levels, _ = method.student.encoder(rounded(np.random.RandomState(seed).rand(2, 1, *size)).float())
    found = worst_perturbation(method.taught, levels, torch.Generator().manual_seed(1), probe=1e-6, size=2.0)
    lengths = torch.stack([r.flatten(1).square().sum(1) for r in found]).sum(0).sqrt()
    stated = [length for calls in numbers["released_t_vat_perturbation_l2"] for call in calls for length in call]
    # Instead of 2: rounding noise, whose size no two machines need to share.
    assert max(*lengths.tolist(), *stated) < 0.05


@pytest.mark.parametrize("dimensions", [2, 3])
def test_t_vat_by_hand(rng, dimensions):
    # Logits are a linear map of each voxel's features: ∂K/∂d = ξ Aᵀ (Q − P) / B.
    size, probe = (6, 5, 4)[:dimensions], 0.7
    maps = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 2))
    features = [rng.standard_normal((2, n, *size)) for n in (4, 2)]
    generator = torch.Generator().manual_seed(5)
    starts = [torch.rand(f.shape, generator=generator, dtype=torch.float64).numpy() - 0.5 for f in features]

    def decode(levels):
        both = [torch.from_numpy(a.mean(0)) for a in maps]
        return sum(torch.einsum("kc,bc...->bk...", a, f) for a, f in zip(both, levels, strict=True))

    def unit(levels):
        length = np.sqrt(sum((level.reshape(2, -1) ** 2).sum(1) for level in levels))
        return [level / length.reshape(2, *[1] * (level.ndim - 1)) for level in levels]

    def predicted(levels):
        mean = [a.mean(0) for a in maps]
        return softmax(sum(np.einsum("kc,bc...->bk...", a, f) for a, f in zip(mean, levels, strict=True)))

    d = unit(starts)
    p, q = predicted(features), predicted([f + probe * part for f, part in zip(features, d, strict=True)])
    gradient = [probe * np.einsum("kc,bk...->bc...", a.mean(0), q - p) / 2 for a in maps]
    levels = [torch.from_numpy(f) for f in features]
    found = worst_perturbation(decode, levels, torch.Generator().manual_seed(5), probe=probe, size=3.0)
    for r, expected in zip(found, unit(gradient), strict=True):
        np.testing.assert_allclose(r, 3 * expected, rtol=1e-5)
        assert not r.requires_grad
    kl = (p * np.log(p / q)).sum() / 2
    moved = decode([f + torch.from_numpy(probe * part) for f, part in zip(levels, d, strict=True)])
    assert divergence(torch.from_numpy(np.log(p)), moved).item() == pytest.approx(kl)


def ce(p, y):
    """Return the cross entropy of each voxel."""
    return -np.log(np.take_along_axis(p, y[:, None], axis=1)[:, 0])


def dice(p, y, dimensions):
    """Return the Dice loss of the project's baseline: squared over the batch in 2D, plain per sample in 3D."""
    return dice_terms(p, y, *{2: ("squared", 1e-10), 3: ("plain", 1e-5)}[dimensions]).mean()


@pytest.mark.parametrize("supervised", ["ce_and_dice", "ce"])
@pytest.mark.parametrize(("dimensions", "probe"), [(2, None), (2, 10.0), (3, None), (3, 10.0)])
def test_a_step_in_numpy(make_settings, make_batch, monkeypatch, dimensions, probe, supervised):
    settings = make_settings(
        dimensions,
        method="ps-mt",
        crop=(32,) * dimensions,
        pairs=2,
        supervised=supervised,
        probe=probe,
        confidence_threshold={2: 0.45, 3: 0.6}[dimensions],
        unlabeled_weight=0.7,
        ramp_share=0.5,
    )
    method = methods.build(settings, 1).train()
    batch = replace(make_batch(settings), iteration=20, iterations=100, unlabeled_pass=3)
    for name in NETWORKS:
        scale_head(getattr(method, name), {2: 12, 3: 3}[dimensions])
    views, mixings, changes, decoded = [], [], [], []
    keep(monkeypatch, ps_mt, "strong_view", views.append)
    keep(monkeypatch, CutMix, "draw", mixings.append)
    keep(monkeypatch, ps_mt, "worst_perturbation", changes.append)
    student = method.student
    student.encoder.register_forward_hook(lambda _, seen, out: decoded.append([seen[0].numpy(), out.levels]))
    student.decoder.register_forward_hook(lambda _, levels, out: decoded[-1].extend([levels[0], out.logits]))
    taught = [watch(teacher) for teacher in method.teachers]
    statistics = [copies(running_statistics(teacher)) for teacher in method.teachers]
    got = {name: value.item() for name, value in method.losses(batch).items()}

    weak = batch.unlabeled_images.numpy()
    for teacher, before, ((seen, _, mode),) in zip(method.teachers, statistics, taught, strict=True):
        np.testing.assert_array_equal(seen, weak)
        assert mode
        assert change(running_statistics(teacher), before) > 0
    one, two = (passes[0][1].astype(float) for passes in taught)
    second, target = views[1].numpy().copy(), (one + two) / 2
    order, inside = mixings[0].permutation.tolist(), mixings[0].mask.numpy()
    for values in (second, target):
        unmixed = values.copy()
        for i, j in enumerate(order):
            values[i][:, inside[i]] = unmixed[j][:, inside[i]]
    (seen_l, f_l, into_l, out_l), (seen_u, f_u, into_u, out_u) = decoded
    np.testing.assert_array_equal(seen_l, views[0])
    np.testing.assert_array_equal(seen_u, second)
    again = make_batch(settings)
    generator = again.generator()
    for view, images in zip(views, (again.labeled_images, again.unlabeled_images), strict=True):
        assert torch.equal(view, strong(images, generator, blurred=0.5))
    assert len(changes) == (0 if probe is None else 2)
    for n, (f, into) in enumerate([(f_l, into_l), (f_u, into_u)]):
        for k, (level, decoded_level) in enumerate(zip(f, into, strict=True)):
            torch.testing.assert_close(decoded_level, level if probe is None else level + changes[n][k])

    p, q, y = softmax(out_l.detach().double().numpy()), softmax(target), batch.labels.numpy()
    predicted, m = softmax(out_u.detach().double().numpy()), q.max(1)
    sure = m >= settings.options.confidence_threshold
    assert 0.01 < sure.mean() < 0.99
    strict = (m * ce(predicted, q.argmax(1)))[sure].mean()
    terms = [ce(p, y).mean()] + ([dice(p, y, dimensions)] if supervised == "ce_and_dice" else [])
    weight = 0.7 * (1 - np.cos(np.pi * 20 / 50)) / 2
    expected = {
        "supervised": np.mean(terms),
        "unlabeled": strict,
        "weight": weight,
        "loss": np.mean(terms) + weight * strict,
        "confident": sure.mean(),
        "conflicts": (one.argmax(1) != two.argmax(1)).mean(),
        "active_teacher": 2,
    }
    assert got == pytest.approx(expected, rel=1e-3)


def test_gradients_reach_the_encoder_through_its_features_alone(make_settings, make_batch, monkeypatch):
    settings = make_settings(2, method="ps-mt", probe=10.0)
    method, batch = methods.build(settings, 1).train(), make_batch(settings)
    dropout_off(method)
    for teacher in method.teachers:
        teacher.eval()
    found, images = [], batch.labeled_images
    keep(monkeypatch, ps_mt, "worst_perturbation", found.append)
    method.perturbed(images, batch.generator()).square().sum().backward()
    got = copies(p.grad for p in method.student.parameters())
    assert all(p.grad is None for teacher in method.teachers for p in teacher.parameters())
    method.zero_grad()
    levels, _ = method.student.encoder(images)
    method.student.decoder([f + r for f, r in zip(levels, found[0], strict=True)]).logits.square().sum().backward()
    for gradient, parameter in zip(got, method.student.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_bf16_does_not_round_the_perturbation_away(make_settings, make_batch, monkeypatch):
    settings = make_settings(2, method="ps-mt", probe=10.0)
    method, found, features, seen = methods.build(settings, 1).train(), [], [], []
    keep(monkeypatch, ps_mt, "worst_perturbation", found.append)
    method.student.encoder.register_forward_hook(lambda _, images, out: features.append(out.levels))
    method.student.decoder.register_forward_hook(lambda _, levels, out: seen.append((levels[0], out.logits)))
    with Execution(torch.device("cpu"), "bf16").precise():
        losses = method.losses(make_batch(settings))
    for (levels, logits), changes, before in zip(seen, found, features, strict=True):
        assert {f.dtype for f in before} == {torch.bfloat16}
        assert logits.dtype == torch.float32
        for level, r, f in zip(levels, changes, before, strict=True):
            torch.testing.assert_close(level - f.float(), r, rtol=1e-2, atol=1e-5)
    assert losses["loss"].isfinite()


def test_one_teacher_follows_in_each_pass_over_the_unlabeled_samples(make_settings, make_batch):
    settings = make_settings(2, method="ps-mt", ema_decay=0.9)
    method, batch = methods.build(settings, 1).train(), make_batch(settings)
    for done in (0, 1, 2, 5):
        for buffer in running_statistics(method.student):
            buffer.add_(1)
        before = [state_of(network) for network in (*method.teachers, method.student)]
        method.after_step(replace(batch, unlabeled_pass=done))
        after, turn = [state_of(teacher) for teacher in method.teachers], done % 2
        assert torch.equal(after[1 - turn], before[1 - turn])
        torch.testing.assert_close(after[turn], 0.9 * before[turn] + 0.1 * before[2])


def test_the_warm_up_trains_each_network_alone(make_settings, make_batch, monkeypatch):
    settings = make_settings(2, method="ps-mt", learning_rate=0.05).model_copy(update={"iterations": 30_000})
    warm_up, main = methods.stages(settings)
    assert (warm_up.length(settings), main.length(settings)) == (300, 30_000)
    method, batch = methods.build(settings).train(), make_batch(settings)
    assert (method.labeled_batch, method.unlabeled_batch) == (2, 0)
    seen, views = {name: watch(getattr(method, name)) for name in NETWORKS}, []
    assert ps_mt.strong_view.keywords == {"blurred": 0.5}
    keep(monkeypatch, ps_mt, "strong_view", views.append)
    updates = method.updates()
    losses = step(method, updates, batch, CPU)
    assert updates[0].rate(299, 300) == 0.05
    again, total = make_batch(settings), 0.0
    assert torch.equal(views[0], strong(again.labeled_images, again.generator(), blurred=0.5))
    for name, ((images, logits, mode),) in seen.items():
        np.testing.assert_array_equal(images, views[0] if name == "student" else batch.labeled_images)
        assert mode
        p, y = softmax(logits.astype(float)), batch.labels.numpy()
        expected = (ce(p, y).mean() + dice(p, y, 2)) / 2
        assert losses[f"supervised_{name}"].item() == pytest.approx(expected, rel=1e-5)
        total += expected
        assert all(p.grad.abs().sum() > 0 for k, p in getattr(method, name).named_parameters() if "norm" in k)
    assert losses["loss"].item() == pytest.approx(total, rel=1e-5)


def test_all_three_networks_are_handed_over_and_the_students_momentum(make_settings):
    settings = make_settings(2, method="ps-mt")
    method, given = methods.build(settings, 1), {}
    for name, network in methods.build(settings).results().items():
        momentum = {key: torch.randn_like(value) for key, value in network.named_parameters()}
        given[name] = Selected(network.state_dict(), momentum)
    updates = method.updates()
    method.take_over(given, updates)
    for name, selected in given.items():
        found = getattr(method, name).state_dict()
        assert all(torch.equal(found[key], value) for key, value in selected.weights.items())
    state = updates[0].optimizer.state
    for key, parameter in method.student.named_parameters():
        assert torch.equal(state[parameter]["momentum_buffer"], given["student"].momentum[key])
    assert len(state) == len(given["student"].momentum)
    assert not any(p.requires_grad for teacher in method.teachers for p in teacher.parameters())


def test_what_is_evaluated_is_chosen(make_settings):
    image = torch.randn(2, 1, 32, 32)
    for result, other in (("teachers", "student"), ("student", "teachers")):
        method = methods.build(make_settings(2, method="ps-mt", result=result), 1).eval()
        assert list(method.results()) == [result, other]
        assert list(method.networks()) == [result, other, "teacher_1", "teacher_2"]
    mean = (method.teacher_1(image).logits + method.teacher_2(image).logits) / 2
    torch.testing.assert_close(method.results()["teachers"](image).logits, mean)


PORT = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "learning_rate_power": 0.9,
    "learning_rate_lag": False, "learning_rate_decay_every": None, "probe": None, "perturbation": 2.0,
    "supervised": "ce_and_dice", "confidence_threshold": 0.6, "unlabeled_weight": 1.5, "ramp_share": 0.15,
    "warm_up_share": 0.01, "ema_decay": 0.996, "result": "teachers",
}  # fmt: skip


def test_the_presets_are_as_the_page_says():
    for kind, dice, training in (("acdc", "squared", (12, 12, 30_000)), ("la", "plain", (2, 2, 15_000))):
        assert_published("ps-mt", kind, PORT | {"dice": dice}, training)
        assert_published("ps-mt", kind, PORT | {"dice": dice, "probe": 10.0}, training, preset="paper")


def test_its_learning_curve_has_the_teachers_and_the_student(launch, run_settings, tmp_path):
    training = launch(run_settings(2, method="ps-mt", iterations=4, validate_every=2), tmp_path)
    first, last = training.history.rows[0], training.history.rows[-1]
    # A row that no validation is due for lacks the Dice.
    assert list(first)[: 4 + len(NETWORKS)] == [
        "iteration", "stage", "learning_rate", "loss", *(f"supervised_{name}" for name in NETWORKS),
    ]  # fmt: skip
    names = ("teachers", "student", "teacher_1", "teacher_2")
    assert list(last) == [
        "iteration", "stage", "learning_rate", "loss", "supervised", "unlabeled", "weight", "confident",
        "conflicts", "active_teacher", *(f"val_{n}_dice" for n in names), *(f"pseudo_{n}_dice" for n in names),
    ]  # fmt: skip
    assert list(training.selections) == ["teachers", "student"]
