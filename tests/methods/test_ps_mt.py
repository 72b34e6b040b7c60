"""PS-MT: the numbers of the released code around our networks, the equations in plain NumPy, and our choices."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods import ps_mt
from m3hl.methods.parts import t_vat
from m3hl.methods.parts.boxes import box_masks
from m3hl.methods.parts.cut_mix import CutMix
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.schedules import cosine_ramp
from m3hl.methods.parts.t_vat import divergence, worst_perturbation
from m3hl.training.step import step
from tests.methods.lineage import rounded
from tests.methods.replay import batch_of, boxes_of, change, copies, logits_of, norm, running_statistics

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
        batch = batch_of(
            np.concatenate([images, weak]), labels, np.random.default_rng(0), k, len(rows), torch.float64
        )
        batch = replace(batch, unlabeled_pass=k)
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
