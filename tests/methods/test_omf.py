"""OMF: the released overlays, losses and steps of both stages, the equations, and what is handed over."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3hl import methods, nets
from m3hl.errors import UserError
from m3hl.methods import omf
from m3hl.methods.parts import losses as parts
from m3hl.methods.parts.losses import cross_entropy, dice_loss, segmentation_loss
from m3hl.methods.parts.teacher import pseudo_label
from m3hl.training.step import step
from tests.methods.lineage import assert_published, keep, softmax
from tests.methods.pasting import CPU, about, close, side_in_numpy, watch
from tests.methods.replay import Recited, batch_of, change, copies, logits_of, norm, running_statistics

SHAPE = {2: (64, 64), 3: (48, 48, 48)}


@pytest.fixture
def numbers(released):
    """Return the numbers of the released code."""
    return released("omf")


@pytest.fixture
def build(make_settings):
    """Return a function that builds a stage of a run."""

    def make(dimensions, stage, **options):
        return methods.build(make_settings(dimensions, method="omf", **options), stage)

    return make


def test_the_overlay_is_the_released_one(numbers):
    random, row = np.random.RandomState(numbers["seed"] * 83), numbers["mantle"]
    shape = (2, 1, 20, 18, 14)
    x_a, x_b = (torch.from_numpy(random.standard_normal(shape).astype(np.float32)) for _ in range(2))
    y_a, y_b = (torch.from_numpy((random.rand(2, 20, 18, 14) < 0.3).astype(int)) for _ in range(2))
    assert (y_a.sum(), y_b.sum(), (y_a == 0).sum()) == (row["foreground_a"], row["foreground_b"], row["mask_sum"])
    image, label = omf.overlaid(x_a, x_b, y_a).double().flatten(), omf.overlaid(y_a, y_b, y_a)
    assert label.sum() == row["label_sum"]
    weighted = (image * torch.arange(image.numel())).sum() / image.numel()
    found = [image.sum().item(), image.norm().item(), weighted.item()]
    assert found == close([row["image_sum"], row["image_l2"], row["image_weighted"]])


def test_the_mantle_is_the_released_one(numbers):
    row = numbers["pseudo"]
    logits = np.random.RandomState(numbers["seed"] * 84).standard_normal((3, 2, 20, 18, 14))
    logits[:, 1] -= 1.2
    logits[:, :, 0, 0, 0] = 0
    logits[2, 1] = -9
    logits = torch.from_numpy(logits.astype(np.float32))
    assert (logits[:, 1] >= logits[:, 0]).sum((1, 2, 3)).tolist() == row["before"]
    kept = pseudo_label(logits)
    np.testing.assert_array_equal(kept, numbers["pseudo_kept"])
    assert kept.sum((1, 2, 3)).tolist() == row["after"]
    first = [next(iter(np.flatnonzero(each)), -1) for each in kept.numpy()]
    assert first == row["first_index"]
    assert (kept[1:] == 0).sum((1, 2, 3)).tolist() == row["mask_of_samples_1_2"]


def test_the_supervised_loss_is_the_released_one(numbers):
    random, row = np.random.RandomState(numbers["seed"] * 85), numbers["supervised"]
    logits = logits_of(random, (2, 2, 24, 24, 16), 2)
    labels = torch.from_numpy(random.randint(0, 2, (2, 24, 24, 16)))
    everywhere = torch.ones_like(labels, dtype=torch.float32)
    loss = segmentation_loss(logits, labels, None, "plain", "mean")
    found = {
        "ce": cross_entropy(logits, labels).item(),
        "dice": dice_loss(logits.softmax(1), labels, everywhere, "plain").item(),
        "loss": loss.item(),
        "grad_l2": torch.autograd.grad(loss, logits)[0].norm().item(),
    }
    assert found == close(row)


@pytest.mark.parametrize(("dimensions", "shape"), [(3, (2, 2, 24, 24, 16)), (2, (3, 4, 32, 32))])
def test_the_second_stages_loss_is_the_released_one(numbers, build, dimensions, shape):
    random = np.random.RandomState(numbers["seed"] * {3: 86, 2: 87}[dimensions])
    student, taught = logits_of(random, shape, 2), logits_of(random, shape, 2)
    stage = build(dimensions, 1)
    stage.student, stage.teacher = Recited(student), Recited(taught, torch.zeros(shape))
    losses = stage.losses(batch_of(np.zeros((2 * shape[0], 1, *shape[2:])), np.zeros((0, *shape[2:]), int)))
    gradient = torch.autograd.grad(losses["loss"], student)[0].norm().item()
    found = {"mse": losses["consistency"].item(), "loss": losses["loss"].item(), "grad_l2": gradient}
    assert found == close(numbers[f"consistency{dimensions}d"])


def test_the_schedules_are_the_released_ones(numbers, build):
    for number, name in enumerate(("stage1", "stage2")):
        (update,) = build(3, number).updates()
        for iteration, rate in numbers["learning_rate"][name].items():
            assert update.rate(int(iteration), 15_000) == pytest.approx(rate, rel=1e-9)
    assert sum(p.numel() for p in nets.build(3, 2, 16).parameters()) == numbers["network"]["main_parameters"]


def norms(network, start, name=""):
    """Return what a row says of a network after a step."""
    return {
        f"{name}param_l2": norm(network.parameters()),
        f"{name}running_l2": norm(running_statistics(network)),
        f"{name}change_l2": change(network.parameters(), start),
    }


def assert_row(found, row):
    """Assert the numbers of a row but for the mantle's voxels.

    Gradients jump where a unit crosses zero, on another CPU elsewhere, so that norms of them are looser; and one
    voxel more or less under the mantle changes the sum of an image by as much as a voxel is worth.
    """
    for name, value in row.items():
        if name not in ("mantle_pixels", "mantle_voxels"):
            tolerance = 5e-3 if name in ("grad_l2", "change_l2") else 1e-4
            off = 10.0 if name == "mixed_image_sum" else 0.0
            assert {name: found[name]} == {name: pytest.approx(value, rel=tolerance, abs=off)}


STEPS = [2, pytest.param(3, marks=pytest.mark.slow)]


def numbers_of(dimensions, random, count, labels):
    """Return images of a released step, and as many label maps."""
    shape = (count, 1, *SHAPE[dimensions])
    images = random.rand(*shape) if dimensions == 2 else random.standard_normal(shape)
    return images, random.randint(0, {2: 4, 3: 2}[dimensions], (labels, *SHAPE[dimensions]))


@pytest.mark.parametrize("dimensions", STEPS)
def test_pretraining_is_the_released_one(numbers, reference, build, monkeypatch, dimensions):
    rows, seed = numbers["stage1_steps" + "_2d" * (dimensions == 2)], {2: 91, 3: 81}[dimensions]
    stage = build(dimensions, 0, crop=SHAPE[dimensions], pairs=2, channels=16).train()
    reference.fill(stage.student, dimensions, numbers["seed"] + 1)
    start, updates, terms, drawn = copies(stage.student.parameters()), stage.updates(), {"ce": [], "dice": []}, []
    keep(monkeypatch, parts, "cross_entropy", terms["ce"].append)
    keep(monkeypatch, parts, "dice_loss", terms["dice"].append)
    keep(monkeypatch, omf, "overlaid", drawn.append)
    for k, row in enumerate(rows):
        images, labels = numbers_of(dimensions, np.random.RandomState(numbers["seed"] * seed + k), 4, 4)
        losses = {n: v.item() for n, v in step(stage, updates, batch_of(images, labels), CPU).items()}
        found = {"loss": losses["loss"], "mixed": losses["mixed"], "a": losses["plain_a"], "b": losses["plain_b"]}
        found |= {f"mixed_{name}": values[0].item() for name, values in terms.items()}
        found |= {"mixed_label_sum": drawn[1].sum().item()} | norms(stage.student, start)
        found["grad_l2"] = norm(p.grad for p in stage.student.parameters())
        assert_row(found, row)
        for values in (*terms.values(), drawn):
            values.clear()


@pytest.mark.parametrize("dimensions", STEPS)
def test_the_second_stage_is_the_released_one(numbers, reference, build, monkeypatch, dimensions):
    rows, seed = numbers["stage2_steps" + "_2d" * (dimensions == 2)], {2: 92, 3: 82}[dimensions]
    stage = build(dimensions, 1, crop=SHAPE[dimensions], pairs=2, channels=16).train()
    networks = {"": stage.student, "teacher_": stage.teacher}
    for number, network in enumerate(networks.values(), start=1):
        reference.fill(network, dimensions, numbers["seed"] + number)
    starts = {name: copies(network.parameters()) for name, network in networks.items()}
    updates, mantles, seen = stage.updates(), [], []
    keep(monkeypatch, omf, "pseudo_label", mantles.append)
    keep(monkeypatch, omf, "overlaid", seen.append)
    for k, row in enumerate(rows):
        images, labels = numbers_of(dimensions, np.random.RandomState(numbers["seed"] * seed + k), 4, 0)
        losses = {n: v.item() for n, v in step(stage, updates, batch_of(images, labels), CPU).items()}
        found = {"loss": losses["loss"], "mse": losses["consistency"]}
        for name, network in networks.items():
            found |= norms(network, starts[name], name)
        found["grad_l2"] = norm(p.grad for p in stage.student.parameters())
        voxels = (mantles.pop() > 0).sum(tuple(range(1, dimensions + 1))).tolist()
        assert voxels == about(row.get("mantle_voxels") or row["mantle_pixels"], 2)
        assert losses["mantle"] == pytest.approx(sum(voxels) / (2 * np.prod(SHAPE[dimensions])))
        found["mixed_image_sum"] = seen.pop().double().sum().item()
        assert_row(found, row)


@pytest.fixture
def prepared(build, make_batch):
    """Return a function that gives a stage in training, a batch, and the passes to come."""

    def make(dimensions, stage):
        stage = build(dimensions, stage, pairs=2, crop=(32,) * dimensions, consistency_weight=0.7).train()
        passes = {name: watch(network) for name, network in stage.networks().items()}
        return stage, make_batch(stage.settings), passes

    return make


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_step_of_pretraining_in_numpy(prepared, dimensions):
    stage, batch, passes = prepared(dimensions, 0)
    # A volume without foreground leaves the lower one as it is.
    batch.labels[0] = 0
    losses = {name: value.item() for name, value in stage.losses(batch).items()}
    (a, b), (y_a, y_b) = ([half.numpy() for half in x.chunk(2)] for x in (batch.labeled_images, batch.labels))
    upper = y_a > 0
    images = np.where(upper[:, None], a, b), a, b
    labels, form = (np.where(upper, y_a, y_b), y_a, y_b), {2: "squared", 3: "plain"}[dimensions]
    np.testing.assert_array_equal(images[0][0], b[0])
    expected = {}
    for name, image, label, (seen, logits, training) in zip(
        ("mixed", "plain_a", "plain_b"), images, labels, passes["student"], strict=True
    ):
        assert training
        np.testing.assert_array_equal(seen, image)
        expected[name] = side_in_numpy(softmax(logits), label, np.ones(label.shape), form=form)
    assert losses == pytest.approx(expected | {"loss": sum(expected.values())}, rel=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_step_of_the_second_stage_in_numpy(prepared, dimensions):
    stage, batch, passes = prepared(dimensions, 1)
    # Neither labeled images nor labels are looked at.
    nothing = torch.full_like(batch.labeled_images, torch.nan)
    losses = stage.losses(replace(batch, labeled_images=nothing, labels=None))
    a, b = (half.numpy() for half in batch.unlabeled_images.chunk(2))
    (on_a, taught_a, mode_a), (on_b, taught_b, mode_b) = passes["teacher"]
    np.testing.assert_array_equal(on_a, a)
    np.testing.assert_array_equal(on_b, b)
    assert mode_a
    assert mode_b
    mantle = pseudo_label(torch.from_numpy(taught_b)).numpy() > 0
    ((seen, logits, mode),) = passes["student"]
    assert mode
    np.testing.assert_array_equal(seen, np.where(mantle[:, None], b, a))
    mean = ((softmax(logits) - softmax(taught_a)) ** 2).mean()
    expected = {"loss": 0.7 * mean, "consistency": mean, "mantle": mantle.mean()}
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-5)


def test_neither_stage_draws_what_it_does_not_use(build):
    counts = [(stage.labeled_batch, stage.unlabeled_batch) for stage in (build(2, n, pairs=2) for n in (0, 1))]
    assert counts == [(4, 0), (0, 4)]


def test_the_teacher_is_frozen_but_for_its_running_statistics(prepared):
    stage, batch, _ = prepared(2, 1)
    before = {name: value.clone() for name, value in stage.teacher.state_dict().items()}
    updates = stage.updates()
    for _ in range(2):
        step(stage, updates, batch, CPU)
    assert all(torch.equal(p, before[name]) for name, p in stage.teacher.named_parameters())
    moved = [not torch.equal(b, before[name]) for name, b in stage.teacher.named_buffers()]
    assert all(moved)
    assert sum(len(group["params"]) for group in updates[0].optimizer.param_groups) == len(
        list(stage.student.parameters())
    )


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("stage", "name"), [(0, "labeled_images"), (0, "labels"), (1, "unlabeled_images")])
def test_exchanged_halves_change_the_loss(build, make_batch, dimensions, stage, name):
    method = build(dimensions, stage, pairs=2, crop=(32,) * dimensions).eval()
    batch = make_batch(method.settings)
    exchanged = replace(batch, **{name: getattr(batch, name).roll(2, 0)})
    one, other = (method.losses(each)["loss"].item() for each in (batch, exchanged))
    assert one != pytest.approx(other, rel=1e-6)


def test_both_networks_begin_as_the_selected_one_and_sgd_anew(launch, run_settings, monkeypatch, tmp_path):
    begun, original = [], omf.Method.take_over

    def spy(self, selected, updates):
        original(self, selected, updates)
        momentum = [s["momentum_buffer"].abs().sum().item() for s in updates[0].optimizer.state.values()]
        networks = ({n: v.clone() for n, v in x.state_dict().items()} for x in (self.student, self.teacher))
        begun.append((selected["student"], *networks, sum(momentum)))

    monkeypatch.setattr(omf.Method, "take_over", spy)
    training = launch(run_settings(2, method="omf", labeled=1), tmp_path)
    ((selected, student, teacher, momentum),) = begun
    for name, value in selected.weights.items():
        assert torch.equal(student[name], value)
        assert torch.equal(teacher[name], value)
    assert (momentum, selected.momentum) == (0, {})
    (ended,) = training.ended
    assert (ended["stage"], ended["iterations"], ended["counts"]["unlabeled_samples"]) == ("pretraining", 4, 0)
    assert training.facts["counts"]["unlabeled_samples"] == 9
    assert training.history.rows[-1].keys() >= {"val_student_dice", "val_teacher_dice", "pseudo_teacher_dice"}


SLICES = {
    "learning_rate": 0.01,
    "learning_rate_power": None,
    "learning_rate_lag": False,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "learning_rate_decay_every": 5000,
    "learning_rate_decay": 0.8,
    "pretraining_iterations": 10_000,
    "pretraining_decay_every": 6667,
    "pretraining_decay": 0.1,
    "dice": "squared",
    "consistency_weight": 1.7,
}
VOLUMES = SLICES | {
    "learning_rate": 0.1,
    "learning_rate_decay_every": 2500,
    "pretraining_iterations": 15_000,
    "pretraining_decay_every": 10_000,
    "dice": "plain",
}


@pytest.mark.parametrize(
    ("kind", "options", "training"), [("acdc", SLICES, (12, 12, 30_000)), ("la", VOLUMES, (4, 4, 15_000))]
)
def test_the_preset_is_as_the_page_says(kind, options, training):
    assert_published("omf", kind, options, training, decay=0.8)


def test_a_batch_that_cannot_be_halved_is_refused(run_settings):
    with pytest.raises(UserError, match="labeled_batch 2 and unlabeled_batch 3 must be even"):
        run_settings(2, method="omf", unlabeled_batch=3)
