"""AD-MT: the released code's numbers, the equations in plain NumPy, and what no number of its can tell."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3hl import methods, nets
from m3hl.compute.execution import Execution
from m3hl.methods import ad_mt
from m3hl.methods.parts.boxes import box_masks
from m3hl.methods.parts.cut_mix import CutMix, centered_boxes
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.schedules import gaussian_ramp, late_warm_up_decay
from m3hl.methods.parts.strong import strong
from m3hl.methods.parts.turns import RandomTurns
from m3hl.training.step import step
from tests.methods.lineage import assert_published, keep, scale_head, softmax
from tests.methods.replay import (
    Recited,
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
LOSSES = {2: (801, 4, 2, 3, (24, 24)), 3: (802, 2, 1, 3, (12, 12, 10))}
"""By dimension: seed, classes, labeled and unlabeled samples, and size."""
STEPS = {2: (790, 4, 2, 3, (64, 64)), 3: (795, 2, 1, 3, (32, 32, 32))}


@pytest.fixture
def numbers(released):
    return released("ad-mt")


@pytest.fixture
def settled(monkeypatch):
    """Return the list to which each step adds its target before and after the combat."""
    original, found = ad_mt.combat, []

    def recorded(target, *others):
        found.append((target, original(target, *others)))
        return found[-1][1]

    monkeypatch.setattr(ad_mt, "combat", recorded)
    return found


def play(monkeypatch, method, row, crop):
    """Let it be the turn of a row's teacher, and mix as the row says."""
    monkeypatch.setattr(method, "turn", lambda _: row["active_teacher"] - 1)
    if row["active_teacher"] == 2:
        mixing = CutMix(torch.tensor(row["permutation"]), box_masks(boxes_of(row), crop, torch.device("cpu")))
        monkeypatch.setattr(CutMix, "draw", lambda *_: mixing)


def check_target(row, found, threshold, slack=0.0):
    """Assert that conflicts, the student's share and the voxels that are kept are a row's."""
    before, after = found
    kept = after.labels[after.confidence >= threshold]
    counts = {
        "conflicts": before.conflict.sum().item(),
        "from_student": (before.labels != after.labels).sum().item(),
        "kept": len(kept),
    }
    for name, value in counts.items():
        assert value == pytest.approx(row[name], rel=slack), name
    classes = kept.bincount(minlength=len(row["kept_class_counts"])).tolist()
    assert classes == pytest.approx(row["kept_class_counts"], rel=slack, abs=3 if slack else 0)
    for name, target in (("confidence_sum_teachers", before), ("confidence_sum", after)):
        assert target.confidence.double().sum().item() == pytest.approx(row[name], rel=1e-5), name


def recited(numbers, make_settings, dimensions, **options):
    """Return a method whose networks say what the fixtures say, the student's logits, and a batch."""
    factor, classes, labeled, unlabeled, size = LOSSES[dimensions]
    random = np.random.RandomState(factor * numbers["seed"])
    student = logits_of(random, (labeled + 2 * unlabeled, classes, *size), 2)
    one = 2 * random.standard_normal((unlabeled, classes, *size))
    two = 0.5 * one + 1.5 * random.standard_normal(one.shape)
    labels = random.randint(0, classes, (labeled, *size))
    settings = make_settings(dimensions, method="ad-mt", ramp_length=0, **options)
    method = methods.build(settings.model_copy(update={"crop": size}))
    method.student = Recited(student)
    method.teacher_1, method.teacher_2 = (Recited(torch.from_numpy(z.astype(np.float32))) for z in (one, two))
    images = np.random.RandomState(0).rand(labeled + unlabeled, 1, *size)
    return method, student, batch_of(images, labels, np.random.default_rng(0))


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("ensemble", ["entropy", "average"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_losses_and_gradients_are_the_released_codes(
    numbers, make_settings, monkeypatch, settled, dimensions, ensemble, turn
):
    row = numbers[f"losses_{dimensions}d"][ensemble][turn - 1]
    _, _, labeled, unlabeled, size = LOSSES[dimensions]
    method, student, batch = recited(numbers, make_settings, dimensions, ensemble=ensemble)
    assert row["active_teacher"] == turn
    play(monkeypatch, method, row, size)
    losses = method.losses(batch)
    check_target(row, settled[0], method.options.confidence_threshold)
    for name, key in (
        ("loss", "loss"),
        ("supervised", "loss_labeled"),
        ("unlabeled", "loss_unlabeled"),
        ("weight", "weight"),
    ):
        assert losses[name].item() == pytest.approx(row[key], rel=1e-5), name
    (gradient,) = torch.autograd.grad(losses["loss"], student)
    parts = gradient.split([labeled, unlabeled, unlabeled])
    for name, part in zip(("labeled", "weak", "strong"), parts, strict=True):
        assert part.norm().item() == pytest.approx(row[f"grad_l2_{name}"], rel=1e-5), name
    voxels = unlabeled * np.prod(size)
    for name, key in (("confident", "kept"), ("conflicts", "conflicts"), ("from_student", "from_student")):
        assert losses[name].item() == pytest.approx(row[key] / voxels, rel=1e-6)
    assert losses["active_teacher"].item() == turn


@pytest.mark.parametrize("dimensions", [2, 3])
def test_where_no_voxel_is_sure_unlabeled_images_teach_nothing(numbers, make_settings, dimensions):
    row = numbers["no_voxel_passes"][f"{dimensions}d"]
    method, student, batch = recited(numbers, make_settings, dimensions)
    method.options = method.options.model_copy(update={"confidence_threshold": 1.5})
    losses = method.losses(batch)
    gradient = torch.autograd.grad(losses["loss"], student)[0][-len(batch.unlabeled_images) :]
    # The released script gives NaN on volumes.
    assert losses["unlabeled"].item() == float(row["loss_unlabeled"].replace("nan", "0"))
    assert gradient.norm().item() == float(row["grad_l2_strong"])


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
def test_two_steps_are_the_released_codes(numbers, reference, make_settings, monkeypatch, settled, dimensions):
    factor, classes, labeled, unlabeled, size = STEPS[dimensions]
    expected = numbers[f"steps_{dimensions}d"]
    # So late that the decay is the fixed one; the learning rate hardly moves in so long a run.
    first, total = 10**6, 10**15
    options = {"ramp_length": 0, "ema_decay": expected["steps"][0]["ema_decay"]}
    settings = make_settings(
        dimensions,
        method="ad-mt",
        channels=16,
        crop=size,
        confidence_threshold=expected["confidence"],
        **options,
    )
    method = methods.build(settings).train()
    networks = {name: getattr(method, name) for name in NETWORKS}
    for name, network in networks.items():
        reference.fill(network, dimensions, numbers["seed"] + NETWORKS[name])
    start = {name: copies(network.parameters()) for name, network in networks.items()}
    updates = method.updates()
    for k, row in enumerate(expected["steps"]):
        random = np.random.RandomState(factor * numbers["seed"] + k)
        draw = random.rand if dimensions == 2 else lambda *shape, r=random: r.standard_normal(shape)
        images, weak = draw(labeled, 1, *size), draw(unlabeled, 1, *size)
        second = (weak + 0.3 * random.standard_normal(weak.shape)).astype(np.float32)
        labels = random.randint(0, classes, (labeled, *size))
        play(monkeypatch, method, row, size)
        monkeypatch.setattr(ad_mt, "strong", lambda *_, s=second, **__: torch.from_numpy(s))
        batch = batch_of(np.concatenate([images, weak]), labels, np.random.default_rng(0), first + k, total)
        losses = {name: value.item() for name, value in step(method, updates, batch, CPU).items()}

        check_target(row, settled[k], expected["confidence"], slack=1e-3)
        got = {
            "loss": losses["loss"],
            "loss_labeled": losses["supervised"],
            "loss_unlabeled": losses["unlabeled"],
            "weight": losses["weight"],
            "learning_rate": updates[0].optimizer.param_groups[0]["lr"],
        }
        for name, network in networks.items():
            short = name.replace("_", "")
            got[f"{short}_param_l2"] = norm(network.parameters())
            got[f"{short}_running_l2"] = norm(running_statistics(network))
            got[f"{short}_moved_l2"] = change(network.parameters(), start[name])
        for name, value in got.items():
            rel = 1e-3 if name == "student_moved_l2" else 1e-4
            assert value == pytest.approx(row[name], rel=rel), (k, name)


@pytest.mark.parametrize(("dimensions", "name", "iterations"), [(2, "acdc", 30_000), (3, "la", 15_000)])
def test_schedules_are_the_released_codes(numbers, make_settings, dimensions, name, iterations):
    expected, options = numbers["schedules"], make_settings(dimensions, method="ad-mt").options
    rows = expected[name]
    for t, decay, weight, rate in zip(expected["iterations"], *(rows[key] for key in rows), strict=True):
        assert late_warm_up_decay(t // 2, options.ramp_length, options.ema_decay) == pytest.approx(decay)
        ramp = gaussian_ramp(t, options.ramp_length, every=options.ramp_step)
        assert options.unlabeled_weight * ramp == pytest.approx(weight)
        assert learning_rate(options, t, iterations) == pytest.approx(rate)
    assert list(rows) == ["ema_decay", "weight", "learning_rate"]


def test_turns_are_the_released_codes(numbers):
    expected = numbers["alternation"]
    turns, periods = RandomTurns(0, 50), iter(expected["periods"])
    turns.rng = type("Drawn", (), {"integers": lambda *_, **__: next(periods)})()
    active = [turns(t) for t in range(600)]
    assert active[0] == expected["first"] - 1
    changes = [t for t in range(1, 600) if active[t] != active[t - 1]]
    assert changes == expected["active_teacher_changes_at"]


def test_boxes_are_the_released_codes(numbers):
    for row in numbers["boxes"]:
        boxes = centered_boxes(row["lambda"], np.array(row["centers"]), row["size"][2:])
        np.testing.assert_array_equal(boxes, boxes_of(row))


@pytest.mark.parametrize("longest", [1, 5, 50])
def test_turns_follow_from_the_seed_whenever_they_are_asked_for(longest):
    turns = RandomTurns(3, longest)
    active = [turns(t) for t in range(20_000)]
    late = RandomTurns(3, longest)
    assert [late(t) for t in (19_999, 0, 1234)] == [active[t] for t in (19_999, 0, 1234)]
    lengths = np.diff([0, *(t for t in range(1, 20_000) if active[t] != active[t - 1])])
    assert set(lengths) == set(range(1, longest + 1))
    assert lengths.mean() == pytest.approx((longest + 1) / 2, rel=0.1)
    other = RandomTurns(4, longest)
    assert longest == 1 or [other(t) for t in range(20_000)] != active


def entropy(p):
    """Return the entropy of probabilities (B, C, *), in bits."""
    return -(p * np.log2(p + 1e-10)).sum(1, keepdims=True)


def dice(p, y, mask):
    """Return Dice's loss where the mask holds, class by class."""
    terms = []
    for c in range(p.shape[1]):
        q, truth = p[:, c][mask], (y == c)[mask]
        terms.append(1 - (2 * (q * truth).sum() + 1e-5) / ((q**2).sum() + truth.sum() + 1e-5))
    return np.mean(terms)


def ce(p, y, mask):
    """Return the mean cross entropy where the mask holds."""
    return -np.log(np.take_along_axis(p, y[:, None], axis=1)[:, 0][mask]).mean()


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize(
    ("dimensions", "ensemble", "combat", "loss"),
    [
        (2, "entropy", "probability", "dice"),
        (3, "entropy", "probability", "ce"),
        (2, "average", "entropy", "ce"),
        (3, "average", "entropy", "ce_and_dice"),
    ],
)
def test_a_step_in_numpy(make_settings, make_batch, monkeypatch, dimensions, ensemble, combat, loss, turn):
    settings = make_settings(
        dimensions,
        method="ad-mt",
        crop=(32,) * dimensions,
        pairs=2,
        ensemble=ensemble,
        combat=combat,
        unlabeled_loss=loss,
        confidence_threshold={2: 0.5, 3: 0.7}[dimensions],
        unlabeled_weight=0.7,
        ramp_length=2,
        ramp_step=100,
    )
    method, batch = methods.build(settings).train(), replace(make_batch(settings), iteration=160)
    for name in NETWORKS:
        # Sharper heads, so that the threshold parts the voxels and the networks disagree.
        scale_head(getattr(method, name), {2: 12, 3: 3}[dimensions])
    monkeypatch.setattr(method, "turn", lambda t: {160: turn}[t])
    views, mixings = [], []
    keep(monkeypatch, ad_mt, "strong", views.append)
    keep(monkeypatch, CutMix, "draw", mixings.append)
    passes = {name: watch(getattr(method, name)) for name in NETWORKS}
    statistics = {name: copies(running_statistics(getattr(method, name))) for name in NETWORKS}
    got = {name: value.item() for name, value in method.losses(batch).items()}

    moved = {n: change(running_statistics(getattr(method, n)), statistics[n]) > 0 for n in NETWORKS}
    assert moved == {"student": True, "teacher_1": turn == 0, "teacher_2": turn == 1}
    (seen, logits, mode), (seen_1, logits_1, mode_1), (seen_2, logits_2, mode_2) = (p for (p,) in passes.values())
    assert (mode, mode_1, mode_2) == (True, turn == 0, turn == 1)
    weak = batch.unlabeled_images.numpy()
    np.testing.assert_array_equal(seen_1, weak)
    np.testing.assert_array_equal(seen_2, weak)
    np.testing.assert_array_equal(seen[:8], np.concatenate([batch.labeled_images, weak]))
    assert (len(views), len(mixings)) == (1 - turn, turn)
    if turn == 0:
        again = make_batch(settings)
        assert ad_mt.BLURRED == 0.2
        assert torch.equal(views[0], strong(again.unlabeled_images, again.generator(), blurred=0.2))

    p_1, p_2, p = (softmax(z.astype(float)) for z in (logits_1, logits_2, logits))
    w = np.exp(-entropy(p_1)) / (np.exp(-entropy(p_1)) + np.exp(-entropy(p_2))) if ensemble == "entropy" else 0.5
    q = w * p_1 + (1 - w) * p_2
    y, m, h, c = q.argmax(1), q.max(1), entropy(q)[:, 0], p_1.argmax(1) != p_2.argmax(1)
    second = views[0].numpy() if turn == 0 else weak.copy()
    if turn == 1:
        order, inside = mixings[0].permutation.tolist(), mixings[0].mask.numpy()
        for values in (second[:, 0], y, m, h, c):
            unmixed = values.copy()
            for i, j in enumerate(order):
                values[i][inside[i]] = unmixed[j][inside[i]]
    np.testing.assert_array_equal(seen[8:], second)
    y_s, m_s = p[4:8].argmax(1), p[4:8].max(1)
    wins = c & (y_s != y) & (m_s > m if combat == "probability" else entropy(p[4:8])[:, 0] < h)
    assert 0 < wins.mean() < c.mean() < 1
    y, m = np.where(wins, y_s, y), np.where(wins, m_s, m)
    sure = m >= settings.options.confidence_threshold
    assert 0.01 < sure.mean() < 0.99
    terms = {"dice": dice, "ce": ce}
    unlabeled = np.mean([terms[kind](p[8:], y, sure) for kind in loss.split("_and_")])
    everywhere = np.ones_like(batch.labels.numpy(), bool)
    supervised = np.mean([term(p[:4], batch.labels.numpy(), everywhere) for term in (dice, ce)])
    weight = 0.7 * np.exp(-5 * 0.5**2)
    expected = {
        "supervised": supervised,
        "unlabeled": unlabeled,
        "weight": weight,
        "loss": supervised + weight * unlabeled,
        "confident": sure.mean(),
        "conflicts": c.mean(),
        "from_student": wins.mean(),
        "active_teacher": 1 + turn,
    }
    # A voxel at which two probabilities are all but equal may fall to either side.
    assert got == pytest.approx(expected, rel=1e-3)


def test_only_the_active_teacher_follows_and_with_its_running_statistics(make_settings, make_batch, monkeypatch):
    settings = make_settings(2, method="ad-mt", ramp_length=3, ema_decay=0.7)
    method, batch = methods.build(settings).train(), make_batch(settings)
    for iteration, turn, decay in ((5, 1, 0), (7, 0, 0), (8, 0, 1 / 2), (11, 1, 2 / 3), (13, 1, 0.7)):
        monkeypatch.setattr(method, "turn", lambda t, i=iteration, k=turn: {i: k}[t])
        with torch.no_grad():
            for parameter in method.student.parameters():
                parameter.add_(torch.randn_like(parameter))
            for buffer in running_statistics(method.student):
                buffer.add_(1)
        before = [state_of(network) for network in (*method.teachers, method.student)]
        method.after_step(replace(batch, iteration=iteration))
        after = [state_of(teacher) for teacher in method.teachers]
        assert torch.equal(after[1 - turn], before[1 - turn])
        torch.testing.assert_close(after[turn], decay * before[turn] + (1 - decay) * before[2])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_each_network_begins_with_weights_of_its_own(make_settings, dimensions):
    settings = make_settings(dimensions, method="ad-mt")
    torch.manual_seed(7)
    method = methods.build(settings)
    torch.manual_seed(7)
    for name in NETWORKS:
        expected = nets.build(dimensions, len(settings.classes) + 1, settings.channels).state_dict()
        network = getattr(method, name)
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
        assert all(p.requires_grad == (name == "student") for p in network.parameters())


def test_what_is_evaluated_is_chosen(make_settings):
    image = torch.randn(2, 1, 32, 32)
    for result in ("student", "teachers"):
        method = methods.build(make_settings(2, method="ad-mt", result=result)).eval()
        assert list(method.results()) == [result]
        others = ["student", "teacher_1", "teacher_2", "ensemble"]
        assert list(method.networks()) == list(dict.fromkeys([result, *others]))
    mean = (method.teacher_1(image).logits + method.teacher_2(image).logits) / 2
    torch.testing.assert_close(method.results()["teachers"](image).logits, mean)
    target = method.taught(image, 0)
    joined = method.networks()["ensemble"](image).logits.softmax(1)
    torch.testing.assert_close(joined.amax(1), target.confidence)
    assert torch.equal(joined.argmax(1), target.labels)


BOTH = {
    "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "learning_rate_power": 0.9,
    "learning_rate_lag": True, "learning_rate_decay_every": None, "ensemble": "entropy", "unlabeled_weight": 2.0,
    "ramp_step": 150, "ema_decay": 0.99, "result": "student", "combat": "probability",
}  # fmt: skip
ACDC = {"confidence_threshold": 0.95, "unlabeled_loss": "dice", "ramp_length": 50, "longest_turn": 50}
LA = {"confidence_threshold": 0.8, "unlabeled_loss": "ce", "ramp_length": 40, "longest_turn": 19}


def test_the_presets_are_as_the_page_says():
    assert_published("ad-mt", "acdc", BOTH | ACDC, (12, 12, 30_000))
    assert_published("ad-mt", "la", BOTH | LA, (2, 2, 15_000))
    paper = {"combat": "entropy", "unlabeled_loss": "ce_and_dice"}
    assert_published("ad-mt", "acdc", BOTH | ACDC | paper, (12, 12, 30_000), preset="paper")
    paper["confidence_threshold"] = 0.75
    assert_published("ad-mt", "la", BOTH | LA | paper, (2, 2, 15_000), preset="paper")


def test_its_learning_curve_has_both_teachers_and_what_they_teach(launch, run_settings, tmp_path):
    training = launch(run_settings(2, method="ad-mt", iterations=2, validate_every=2), tmp_path)
    names = ("student", "teacher_1", "teacher_2", "ensemble")
    assert list(training.history.rows[-1]) == [
        "iteration", "learning_rate", "loss", "supervised", "unlabeled", "weight", "confident", "conflicts",
        "from_student", "active_teacher", *(f"val_{n}_dice" for n in names), *(f"pseudo_{n}_dice" for n in names),
    ]  # fmt: skip
    assert list(training.selections) == ["student"]
