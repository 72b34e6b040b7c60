"""BCP: the released masks, losses and steps of both stages, the equations, and what is handed over."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.errors import UserError
from m3hl.methods import bcp
from m3hl.methods.parts.boxes import box_masks
from m3hl.methods.parts.optimization import learning_rate
from m3hl.methods.parts.teacher import pseudo_label
from tests.methods.lineage import assert_published, softmax
from tests.methods.pasting import (
    Replay,
    about,
    boxes_at,
    close,
    counts,
    handed_over,
    keep_terms,
    labels_2d,
    loss_inputs,
    outside,
    pretraining_loss,
    put_box,
    repeat,
    side_in_numpy,
    slices,
    watch,
    weighted,
)
from tests.methods.replay import batch_of, norm, running_statistics

BACKGROUNDS = ("region", "whole_image")


@pytest.fixture
def numbers(released):
    """Return the numbers of the released code."""
    return released("bcp")


@pytest.fixture
def build(make_settings):
    """Return a function that builds a stage of a run."""

    def make(dimensions, stage, **options):
        return methods.build(make_settings(dimensions, method="bcp", **options), stage)

    return make


def test_boxes_are_those_of_the_released_code(numbers, rng):
    for row in numbers["masks"]:
        crop, starts = row["crop"], np.array(row["starts"])
        outside = ~box_masks(boxes_at(starts, crop), crop, torch.device("cpu"))[0].numpy()
        zeros = np.flatnonzero(~outside)
        assert (len(zeros), zeros.sum()) == (row["zeros"], row["zero_index_sum"])
        drawn = np.array([bcp.draw_pasted_box(rng, crop)[0] for _ in range(2000)])
        sides = drawn[:, 1] - drawn[:, 0]
        assert (sides == row["patch"]).all()
        assert (drawn[:, 0].min(0) == 0).all()
        assert (drawn[:, 0].max(0) == np.array(row["start_below"]) - 1).all()


def test_pseudo_labels_are_those_of_the_released_code(numbers):
    seed = numbers["seed"]
    logits = np.random.RandomState(seed * 72).standard_normal((3, 4, 24, 24)).astype(np.float32)
    logits[2, 3] = -9
    found = pseudo_label(torch.from_numpy(logits))
    assert [counts(labels) for labels in found] == numbers["pseudo_2d_counts"]
    np.testing.assert_array_equal(found, numbers["pseudo_2d"])
    logits = np.random.RandomState(seed * 73).standard_normal((3, 2, 12, 12, 10)).astype(np.float32)
    logits[:2, 1, :2] = logits[:2, 0, :2]
    logits[2, 1] = logits[2, 0] - 1
    found = pseudo_label(torch.from_numpy(logits))
    assert found.sum((1, 2, 3)).tolist() == numbers["pseudo_3d_counts"]
    np.testing.assert_array_equal(found, numbers["pseudo_3d"])


def assert_loss(loss, logits, row, terms=None):
    """Assert that a loss, its terms and its gradient are a row's."""
    assert torch.autograd.grad(loss, logits)[0].norm().item() == close(row["grad_l2"])
    if terms is None:
        assert loss.item() == close(row["loss"])
    else:
        assert terms == close({name: row[name] for name in terms})
        assert loss.item() == close((row["dice"] + row["ce"]) / 2)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("row", ["loss_2d", "loss_2d_absent"])
def test_losses_of_slices_are_the_released_ones(numbers, build, monkeypatch, row, background):
    logits, labels, pseudo, starts = loss_inputs(numbers["seed"], 2)
    expected = numbers[row]
    if row == "loss_2d":
        assert starts.tolist() == expected["starts"]
        expected = expected[background]
    else:
        with torch.no_grad():
            logits[:, 3] = -9
        labels, pseudo = (torch.where(y == 3, 0, y) for y in (labels, pseudo))
        expected = {"unlabeled_outside": expected[background]}
    mask, kept = outside(starts, logits), keep_terms(monkeypatch)
    stage = build(2, 1, background_dice=background)
    sides = {"unlabeled_outside": 1 - mask, "labeled_outside": mask}
    for name in sides.keys() & expected.keys():
        kept["dice"].clear(), kept["ce"].clear()
        loss = stage.mix_loss(logits, labels, pseudo, sides[name])
        terms = {term: weighted(kept[term]) for term in ("dice", "ce")}
        assert_loss(loss, logits, expected[name], terms)
    if "pretraining" in expected:
        loss = pretraining_loss(
            build(2, 0, background_dice=background), logits, labels, pseudo, starts, monkeypatch
        )
        assert_loss(loss, logits, expected["pretraining"], {})


@pytest.mark.parametrize("row", ["loss_3d", "loss_3d_absent"])
def test_losses_of_volumes_are_the_released_ones(numbers, build, monkeypatch, row):
    logits, labels, pseudo, starts = loss_inputs(numbers["seed"], 3)
    expected = numbers[row]
    if row == "loss_3d":
        assert starts.tolist() == expected["starts"]
    else:
        with torch.no_grad():
            logits[:, 1] = logits[:, 0] - 18
        labels, pseudo = torch.zeros_like(labels), torch.zeros_like(pseudo)
        expected = {"labeled_outside": expected}
    mask, stage = outside(starts, logits), build(3, 1)
    sides = {"unlabeled_outside": 1 - mask, "labeled_outside": mask}
    for name in sides.keys() & expected.keys():
        assert_loss(stage.mix_loss(logits, labels, pseudo, sides[name]), logits, expected[name])
    if "pretraining" in expected:
        kept = keep_terms(monkeypatch)
        loss = pretraining_loss(build(3, 0), logits, labels, pseudo, starts, monkeypatch)
        terms = {name: kept[name][0].item() for name in ("ce", "dice")}
        assert_loss(loss, logits, expected["pretraining"], terms)


def test_the_schedule_of_volumes_is_the_released_one(numbers, build):
    pretraining, self_training = build(3, 0), build(3, 1)
    for iteration, rate in numbers["la_self_training_rate"].items():
        assert self_training.updates()[0].rate(int(iteration), 15_000) == pytest.approx(rate, rel=1e-9)
        assert pretraining.updates()[0].rate(int(iteration), 15_000) == 0.01
        assert learning_rate(build(2, 1).options, int(iteration), 30_000) == 0.01


@pytest.mark.parametrize(("name", "dimensions"), [("unet", 2), ("vnet", 3)])
def test_the_teacher_follows_as_in_the_released_code(numbers, reference, build, name, dimensions):
    expected, seed = numbers["ema"][name], numbers["seed"]
    stage = build(dimensions, 1, channels=16)
    for number, network in enumerate((stage.student, stage.teacher), start=1):
        reference.fill(network, dimensions, seed + number)
        for i, buffer in enumerate(running_statistics(network)):
            random = np.random.RandomState((seed + number) * 1000 + 500 + i)
            buffer.copy_(torch.from_numpy(random.rand(*buffer.shape)))
    stage.after_step(None)
    assert norm(stage.teacher.parameters()) == close(expected["teacher_param_l2"], 1e-6)
    for owner in ("student", "teacher"):
        found = norm(running_statistics(getattr(stage, owner)))
        assert found == close(expected[f"{owner}_running_l2"], 1e-6)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_pretraining_on_slices_is_the_released_one(numbers, reference, build, monkeypatch, background):
    stage = build(2, 0, background_dice=background, crop=(64, 64), pairs=2, channels=16)
    reference.fill(stage.student, 2, numbers["seed"] + 1)
    replay, kept = Replay(stage, {"student": stage.student}), keep_terms(monkeypatch)
    for row in numbers["acdc_steps"][background]["pretraining"]:
        random = np.random.RandomState(row["random_state"])
        images, labels, starts = slices(random, 4), labels_2d(random), random.randint(0, 22, 2)
        assert starts.tolist() == row["starts"]
        put_box(monkeypatch, bcp, starts)
        found = replay.step(batch_of(images, labels)) | replay.norms()
        found["momentum_l2"] = replay.momentum(stage.student)
        found |= {name: weighted(kept[name], unlabeled=1.0) for name in ("dice", "ce")}
        assert_row(found, row, kept)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_self_training_on_slices_is_the_released_one(numbers, reference, build, monkeypatch, background):
    stage = build(2, 1, background_dice=background, crop=(64, 64), pairs=2, channels=16)
    replay, kept = taken_over(stage, reference, numbers), keep_terms(monkeypatch)
    for row in numbers["acdc_steps"][background]["self_training"]:
        random = np.random.RandomState(row["random_state"])
        images, labels, starts = slices(random, 8), labels_2d(random), random.randint(0, 22, 2)
        assert starts.tolist() == row["starts"]
        put_box(monkeypatch, bcp, starts)
        found = replay.step(batch_of(images, labels)) | replay.norms()
        found["momentum_l2"] = replay.momentum(stage.student)
        for name in ("dice", "ce"):
            found |= {f"unl_{name}": weighted(kept[name][:2]), f"l_{name}": weighted(kept[name][2:])}
        for stream, labels in zip("ab", kept["pseudo"], strict=True):
            assert counts(labels) == about(row[f"pseudo_counts_{stream}"])
        assert_row(found, row, kept)


def taken_over(stage, reference, numbers):
    """Return the replay of a second stage that has taken over what a first one would hand over."""
    updates, selected = stage.updates(), handed_over(reference, stage, numbers["seed"])
    reference.fill(stage.student, stage.settings.dimensions, 0)
    reference.fill(stage.teacher, stage.settings.dimensions, 0)
    stage.take_over({"student": selected}, updates)
    return Replay(stage, stage.networks(), updates)


def assert_row(found, row, kept):
    """Assert all numbers of a row that are no inputs, and forget the terms of its step."""
    inputs = ("random_state", "starts", "pseudo")
    expected = {name: value for name, value in row.items() if not name.startswith(inputs)}
    assert {name: found[name] for name in expected} == close(expected)
    for terms in kept.values():
        terms.clear()


def volumes(random, count):
    """Return the images (N, 1, 48, 48, 48) of a released step on volumes."""
    coarse = repeat(random.standard_normal((count, 1, 4, 4, 4)), 12, 3)
    return coarse + 0.5 * random.standard_normal((count, 1, 48, 48, 48))


@pytest.mark.slow
def test_pretraining_on_volumes_is_the_released_one(numbers, reference, build, monkeypatch):
    stage = build(3, 0, channels=16)
    reference.fill(stage.student, 3, numbers["seed"] + 1)
    replay, kept = Replay(stage, {"student": stage.student}), keep_terms(monkeypatch)
    for row in numbers["la_steps"]["pretraining"]:
        random = np.random.RandomState(row["random_state"])
        images, labels = volumes(random, 2), repeat(random.randint(0, 2, (2, 6, 6, 6)), 8, 3)
        put_box(monkeypatch, bcp, random.randint(0, 16, 3))
        found = replay.step(batch_of(images, labels)) | replay.norms()
        found["momentum_l2"] = replay.momentum(stage.student)
        found |= {name: kept[name][0].item() for name in ("dice", "ce")}
        assert_row(found, row, kept)


@pytest.mark.slow
def test_self_training_on_volumes_is_the_released_one(numbers, reference, build, monkeypatch):
    stage = build(3, 1, channels=16)
    selected = handed_over(reference, stage, numbers["seed"])
    stage.take_over({"student": selected._replace(momentum={})}, updates := stage.updates())
    reference.fill(stage.student, 3, numbers["seed"] + 1), reference.fill(stage.teacher, 3, numbers["seed"] + 1)
    replay, kept = Replay(stage, stage.networks(), updates), keep_terms(monkeypatch)
    for row in numbers["la_steps"]["self_training"]:
        random = np.random.RandomState(row["random_state"])
        images, labels = volumes(random, 4), repeat(random.randint(0, 2, (2, 6, 6, 6)), 8, 3)
        put_box(monkeypatch, bcp, random.randint(0, 16, 3))
        found = replay.step(batch_of(images, labels)) | replay.norms()
        found |= {
            "momentum_l2": replay.momentum(stage.student),
            "loss_l": found["stream_a"],
            "loss_u": found["stream_b"],
        }
        for stream, labels in zip("ab", kept["pseudo"], strict=True):
            assert labels.sum().item() == about(row[f"pseudo_voxels_{stream}"], 20)
        assert_row(found, row, kept)


@pytest.fixture
def prepared(build, make_batch):
    """Return a function that gives a stage in training, a batch, M of the step to come, and the passes."""

    def make(dimensions, stage, **options):
        stage = build(dimensions, stage, pairs=2, crop=(32,) * dimensions, **options)
        batch = make_batch(stage.settings)
        mask = stage.draw_mask(replace(batch, rng=deepcopy(batch.rng))).numpy()
        passes = {name: watch(network) for name, network in stage.train().networks().items()}
        return stage, batch, mask, passes

    return make


@pytest.mark.parametrize(
    ("dimensions", "options"),
    [(2, {}), (2, {"background_dice": "whole_image"}), (2, {"pretraining_loss": "whole"}), (3, {})],
)
def test_a_step_of_pretraining_in_numpy(prepared, dimensions, options):
    stage, batch, mask, passes = prepared(dimensions, 0, **options)
    loss = stage.losses(batch)["loss"].item()
    (a, b), (y_a, y_b) = (
        batch.labeled_images.numpy().reshape(2, 2, *batch.labeled_images.shape[1:]),
        (y.numpy() for y in batch.labels.chunk(2)),
    )
    ((seen, logits, training),) = passes["student"]
    assert training
    np.testing.assert_array_equal(seen, a * mask[:, None] + b * (1 - mask[:, None]))
    p, form = softmax(logits), {2: "squared", 3: "plain"}[dimensions]
    if dimensions == 3 or options.get("pretraining_loss") == "whole":
        expected = side_in_numpy(p, np.where(mask == 1, y_a, y_b), np.ones_like(mask), form=form)
    else:
        whole = options.get("background_dice") == "whole_image"
        sides = (y_a, mask), (y_b, 1 - mask)
        expected = sum(side_in_numpy(p, *side, form=form, whole_background=whole) for side in sides)
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("dimensions", "background"), [(2, "region"), (2, "whole_image"), (3, "region")])
def test_a_step_of_self_training_in_numpy(prepared, dimensions, background):
    stage, batch, mask, passes = prepared(dimensions, 1, background_dice=background, labeled_weight=0.7)
    losses = {name: value.item() for name, value in stage.losses(batch).items()}
    images, unlabeled, labels = (x.numpy() for x in (batch.labeled_images, batch.unlabeled_images, batch.labels))
    form, keeps = ("squared", "ul") if dimensions == 2 else ("plain", "lu")
    for i, name in enumerate(("stream_a", "stream_b")):
        own = slice(2 * i, 2 * i + 2)
        taught_on, taught, teaching = passes["teacher"][i]
        np.testing.assert_array_equal(taught_on, unlabeled[own])
        assert teaching
        pseudo = pseudo_label(torch.from_numpy(taught)).numpy()
        side = mask if keeps[i] == "l" else 1 - mask
        seen, logits, _ = passes["student"][i]
        np.testing.assert_array_equal(seen, images[own] * side[:, None] + unlabeled[own] * (1 - side[:, None]))
        details = {"form": form, "whole_background": background == "whole_image"}
        expected = 0.7 * side_in_numpy(softmax(logits), labels[own], side, **details)
        expected += 0.5 * side_in_numpy(softmax(logits), pseudo, 1 - side, **details)
        assert losses[name] == pytest.approx(expected, rel=1e-5)
    assert losses["loss"] == pytest.approx(losses["stream_a"] + losses["stream_b"])


def test_joint_streams_pass_together_and_are_not_mixed_up(build, make_batch):
    """Without batch statistics it makes no difference."""
    losses, sizes = {}, {}
    for forward in ("separate", "joint"):
        torch.manual_seed(0)
        method = build(2, 1, pairs=2, crop=(32, 32), forward=forward).eval()
        batch = replace(make_batch(method.settings), rng=np.random.default_rng(1))
        passes = watch(method.student)
        losses[forward] = {name: value.item() for name, value in method.losses(batch).items()}
        sizes[forward] = [len(seen) for seen, *_ in passes]
    assert losses["joint"] == pytest.approx(losses["separate"], rel=1e-5)
    assert sizes == {"separate": [2, 2], "joint": [4]}


def exchanged(batch, name):
    return replace(batch, **{name: getattr(batch, name).roll(2, 0)})


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    ("stage", "name"),
    [(0, "labeled_images"), (0, "labels"), *((1, n) for n in ("labeled_images", "labels", "unlabeled_images"))],
)
def test_exchanged_streams_change_the_loss(build, make_batch, dimensions, stage, name):
    method = build(dimensions, stage, pairs=2, crop=(32,) * dimensions).eval()
    batch = make_batch(method.settings)
    losses = [
        method.losses(replace(each, rng=np.random.default_rng(1)))["loss"].item()
        for each in (batch, exchanged(batch, name))
    ]
    assert abs(losses[0] - losses[1]) > 1e-6


def test_all_samples_of_a_step_have_one_box_and_each_step_its_own(build, make_batch):
    method = build(2, 1, pairs=3)
    batch = make_batch(method.settings)
    masks = [method.draw_mask(batch) for _ in range(8)]
    assert all(mask.shape == (3, 32, 32) and (mask == mask[0]).all() for mask in masks)
    assert len({mask[0].numpy().tobytes() for mask in masks}) > 4


@pytest.mark.parametrize("keeps", [True, False])
def test_self_training_begins_as_the_selected_network(launch, run_settings, monkeypatch, tmp_path, keeps):
    begun, original = [], bcp.Method.take_over

    def spy(self, selected, updates):
        original(self, selected, updates)
        state = updates[0].optimizer.state
        momentum = {n: state[p]["momentum_buffer"].clone() for n, p in self.student.named_parameters()}
        networks = ({n: v.clone() for n, v in x.state_dict().items()} for x in (self.student, self.teacher))
        begun.append((selected["student"], *networks, momentum))

    monkeypatch.setattr(bcp.Method, "take_over", spy)
    settings = run_settings(2, method="bcp", options={"hand_over_momentum": keeps, "learning_rate": 0.05})
    training = launch(settings, tmp_path)
    ((selected, student, teacher, momentum),) = begun
    for name, value in selected.weights.items():
        assert torch.equal(student[name], value)
        assert torch.equal(teacher[name], value)
    for name, value in momentum.items():
        assert torch.equal(value, selected.momentum[name] if keeps else torch.zeros_like(value))
    (ended,) = training.ended
    assert (ended["stage"], ended["iterations"]) == ("pretraining", 4)
    assert ended["counts"]["unlabeled_samples"] == 0
    assert [row["stage"] for row in training.history.rows] == [1] * 4 + [2] * 6
    assert training.history.rows[-1].keys() >= {"val_student_dice", "val_teacher_dice", "pseudo_teacher_dice"}


PUBLISHED = {
    "forward": "separate",
    "learning_rate": 0.01,
    "learning_rate_power": None,
    "learning_rate_lag": False,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "labeled_weight": 1.0,
    "unlabeled_weight": 0.5,
    "reduction": "mean",
    "background_dice": "region",
    "ema_decay": 0.99,
}
SLICES = PUBLISHED | {
    "learning_rate_decay_every": None,
    "pretraining_iterations": 10_000,
    "pretraining_loss": "regions",
    "hand_over_momentum": True,
    "mask_keeps": ("unlabeled", "labeled"),
    "dice": "squared",
    "ema_buffers": True,
}
VOLUMES = PUBLISHED | {
    "learning_rate_decay_every": 2500,
    "pretraining_iterations": 2000,
    "pretraining_loss": "whole",
    "hand_over_momentum": False,
    "mask_keeps": ("labeled", "unlabeled"),
    "dice": "plain",
    "ema_buffers": False,
}


@pytest.mark.parametrize(
    ("kind", "options", "training"), [("acdc", SLICES, (12, 12, 30_000)), ("la", VOLUMES, (4, 4, 15_000))]
)
def test_the_preset_is_as_the_page_says(kind, options, training):
    assert_published("bcp", kind, options, training)


def test_a_batch_that_cannot_be_halved_is_refused(make_settings, run_settings):
    with pytest.raises(UserError, match="labeled_batch 2 and unlabeled_batch 4 must be equal and even"):
        run_settings(2, method="bcp", unlabeled_batch=4)
