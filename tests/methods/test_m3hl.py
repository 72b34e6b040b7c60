"""M³HL: which image, target and weight goes where, what each knob does, and who learns."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from m3hl import methods, nets
from m3hl.compute.execution import Execution
from m3hl.methods.parts.losses import segmentation_loss
from m3hl.training.step import step

CPU = Execution(torch.device("cpu"))
LABELED, UNLABELED = 1.0, 0.0
SHOWN_WHERE_MASK_IS_ONE = {
    ("paper", 2): (UNLABELED, UNLABELED),
    ("paper", 3): (UNLABELED, UNLABELED),
    ("released", 2): (UNLABELED, LABELED),
    ("released", 3): (LABELED, UNLABELED),
}
every_preset = pytest.mark.parametrize(("preset", "dimensions"), SHOWN_WHERE_MASK_IS_ONE)


class Says(nn.Module):
    """A network that is sure of class `labeled` where an image is 1, and of `unlabeled` where it is 0."""

    def __init__(self, labeled, unlabeled):
        super().__init__()
        self.labeled, self.unlabeled, self.seen = labeled, unlabeled, []

    def forward(self, image):
        self.seen.append(image)
        where = torch.where(image == LABELED, self.labeled, self.unlabeled)[:, 0]
        features = torch.ones(len(image), 1, *(3,) * where[0].ndim)
        logits = 100 * nn.functional.one_hot(where, 4 if where.ndim == 3 else 2).movedim(-1, 1).float()
        return nets.Output(logits, features, features, features, features)


@pytest.fixture
def make_constant(make_settings, make_batch):
    """Return a function that makes a method, and a batch whose labeled images and labels are 1, the rest 0."""

    def make(dimensions, student, **options):
        run = make_settings(dimensions, pairs=2, **options)
        method, batch = methods.build(run), make_batch(run)
        method.student, method.teacher = student, Says(0, 0)
        images, labels = torch.full_like(batch.labeled_images, LABELED), torch.ones_like(batch.labels)
        unlabeled = torch.full_like(images, UNLABELED)
        return method, replace(batch, labeled_images=images, labels=labels, unlabeled_images=unlabeled)

    return make


@pytest.fixture
def make_evaluated(make_settings, make_batch):
    """Return a function that makes a method without randomness, a batch of noise and a fixed mask."""

    def make(dimensions=2, **options):
        run = make_settings(dimensions, **options)
        torch.manual_seed(0)
        method, batch = methods.build(run).eval(), make_batch(run)
        mask = method.draw_mask(batch)
        method.draw_mask = lambda _: mask
        return method, batch

    return make


def losses_of(method, batch):
    return {name: value.item() for name, value in method.losses(batch).items()}


@every_preset
def test_each_stream_shows_the_right_image_and_both_have_the_same_mask(preset, dimensions, make_constant):
    method, batch = make_constant(dimensions, Says(1, 0), preset=preset, consistency_loss=False)
    masks, draw_mask = [], method.draw_mask
    method.draw_mask = lambda batch: masks.append(draw_mask(batch)) or masks[-1]
    method.losses(batch)
    (mask,) = masks
    assert mask.mean() == 0.5
    assert not torch.equal(mask[0], mask[1])
    for seen, shown in zip(method.student.seen, SHOWN_WHERE_MASK_IS_ONE[preset, dimensions], strict=True):
        expected = torch.where(mask == 1, shown, LABELED + UNLABELED - shown)
        torch.testing.assert_close(seen, expected[:, None])


@every_preset
def test_targets_follow_the_images(preset, dimensions, make_constant):
    right, batch = make_constant(dimensions, Says(1, 0), preset=preset, consistency_loss=False)
    wrong, _ = make_constant(dimensions, Says(0, 1), preset=preset, consistency_loss=False)
    assert losses_of(right, batch)["mix"] == pytest.approx(0, abs=1e-4)
    assert losses_of(wrong, batch)["mix"] > 50


@every_preset
def test_weights_follow_the_images(preset, dimensions, make_constant):
    def cost(student, **weights):
        return losses_of(*make_constant(dimensions, student, preset=preset, **weights))["mix"]

    # This student is wrong on labeled images only, the other one on unlabeled images only.
    for wrong_on, student, weights in [
        ("labeled", Says(0, 0), {"unlabeled_weight": 7}),
        ("unlabeled", Says(1, 1), {"labeled_weight": 7}),
    ]:
        assert cost(student, **{f"{wrong_on}_weight": 0.0}) == pytest.approx(0, abs=1e-3)
        once = cost(student, **{f"{wrong_on}_weight": 1.0})
        assert once > 50
        assert cost(student, **{f"{wrong_on}_weight": 3.0}, **weights) == pytest.approx(3 * once)


def exchange_images(batch):
    return replace(batch, labeled_images=batch.unlabeled_images, unlabeled_images=batch.labeled_images)


def exchange_streams(name):
    return lambda batch: replace(batch, **{name: getattr(batch, name).roll(1, 0)})


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    "exchange",
    [exchange_images, *map(exchange_streams, ("labeled_images", "unlabeled_images", "labels"))],
    ids=["images", "streams-of-labeled", "streams-of-unlabeled", "streams-of-labels"],
)
def test_what_is_exchanged_changes_the_loss(exchange, dimensions, make_evaluated):
    method, batch = make_evaluated(dimensions)
    before, after = losses_of(method, batch)["mix"], losses_of(method, exchange(batch))["mix"]
    assert abs(after - before) > 1e-5


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_side_of_each_stream_changes_the_loss(dimensions, make_evaluated):
    sides = [(a, b) for a in ("labeled", "unlabeled") for b in ("labeled", "unlabeled")]
    costs = {losses_of(*make_evaluated(dimensions, mask_keeps=keeps))["mix"] for keeps in sides}
    assert len(costs) == 4


def test_without_mix_the_streams_are_pure(make_constant):
    method, batch = make_constant(3, Says(1, 0), preset="released", mix=False, consistency_loss=False)
    method.losses(batch)
    first, second = method.student.seen
    assert torch.equal(first, batch.labeled_images[:2])
    assert torch.equal(second, batch.unlabeled_images[2:])


BOTH_UNLABELED, BOTH_LABELED = ("unlabeled", "unlabeled"), ("labeled", "labeled")


@pytest.mark.parametrize(
    ("options", "sees_labels"),
    [
        ({"mix": False, "mask_keeps": BOTH_UNLABELED}, False),
        ({"mix": False, "mask_keeps": ("labeled", "unlabeled")}, True),
        ({"mask_ratio": 0, "mask_keeps": BOTH_UNLABELED}, False),
        ({"mask_ratio": 0.05, "mask_keeps": BOTH_UNLABELED}, False),  # of 16 cells none
        ({"mask_patch_size": 32, "mask_ratio": 0.9, "mask_keeps": BOTH_UNLABELED}, False),
        ({"mask_ratio": 1, "mask_keeps": BOTH_UNLABELED}, True),
        ({"mask_ratio": 1, "mask_keeps": BOTH_LABELED}, False),
        ({"mask_ratio": 0, "mask_keeps": ("unlabeled", "labeled")}, True),
    ],
)
def test_a_mask_that_hides_every_label_is_refused(options, sees_labels, make_settings):
    if sees_labels:
        assert make_settings(2, **options)
    else:
        with pytest.raises(ValueError, match=r"cells masked and mask_keeps .* no labeled voxel is ever seen"):
            make_settings(2, **options)
        assert make_settings(2, **options, supervised_loss=True)


def test_size_and_ratio_of_the_mask_are_those_of_the_options(make_settings, make_batch):
    run = make_settings(2, crop=(32, 64), pairs=3, mask_patch_size=(8, 16), mask_ratio=0.3)
    mask = methods.build(run).draw_mask(make_batch(run))
    cells = mask.unfold(1, 8, 8).unfold(2, 16, 16).flatten(3)
    assert cells.shape == (3, 4, 4, 128)
    assert torch.equal(cells.amin(3), cells.amax(3))
    assert (cells[..., 0] == 0).sum((1, 2)).tolist() == [4, 4, 4]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_cell_is_a_quarter_of_the_crop_unless_told_otherwise(dimensions, make_settings):
    published = {2: ((256, 256), (64, 64)), 3: ((112, 112, 80), (28, 28, 20))}
    crop, patch = published[dimensions]
    assert make_settings(dimensions, crop=crop).options.mask_patch(crop) == patch
    cube = make_settings(dimensions, crop=crop, mask_patch_size=4).options
    assert cube.mask_patch(crop) == (4,) * dimensions


@pytest.mark.parametrize("ratio", [0, 1])
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_a_mask_of_nothing_or_everything_is_no_problem(ratio, preset, make_settings, make_batch):
    run = make_settings(2, preset=preset, mask_ratio=ratio, supervised_loss=True)
    method = methods.build(run).train()
    losses = step(method, method.updates(), make_batch(run), CPU)
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(p).all() for p in method.parameters())


def test_the_loss_is_the_sum_of_the_parts_that_are_on(make_evaluated):
    def losses(**options):
        return losses_of(*make_evaluated(consistency_weight=0.3, **options))

    full = losses(supervised_loss=True)
    assert set(full) == {"loss", "mix", "low", "high", "supervised"}
    mix, low, high, supervised = (full[name] for name in ("mix", "low", "high", "supervised"))
    consistency = 0.3 * (low + high)
    assert full["loss"] == pytest.approx(mix + consistency + supervised)
    for options, parts, total in [
        ({}, {"mix", "low", "high"}, mix + consistency),
        ({"mix_loss": False}, {"low", "high"}, consistency),
        ({"consistency_loss": False}, {"mix"}, mix),
        ({"mix_loss": False, "consistency_loss": False, "supervised_loss": True}, {"supervised"}, supervised),
    ]:
        got = losses(**options)
        assert set(got) == parts | {"loss"}
        assert got["loss"] == pytest.approx(total)


def test_supervised_loss_is_that_of_the_labeled_images_as_they_are(make_evaluated):
    method, batch = make_evaluated(supervised_loss=True)
    logits = method.student(batch.labeled_images).logits
    expected = segmentation_loss(logits, batch.labels, None, "squared", "mean").item()
    assert losses_of(method, batch)["supervised"] == pytest.approx(expected)


def test_joint_streams_share_batch_statistics_and_separate_ones_do_not(make_evaluated):
    separate, batch = make_evaluated(pairs=2, forward="separate")
    joint, _ = make_evaluated(pairs=2, forward="joint")
    assert losses_of(joint, batch) == pytest.approx(losses_of(separate, batch), rel=1e-5)

    sizes = {"separate": [], "joint": []}
    for name, method in (("separate", separate), ("joint", joint)):
        method.train()
        for network in (method.student, method.teacher):
            network.register_forward_hook(lambda _, args, out, name=name: sizes[name].append(len(args[0])))
        method.losses(batch)
    assert sizes == {"separate": [2, 2, 2, 2], "joint": [4, 4]}


def test_joint_streams_are_not_mixed_up(make_evaluated):
    method, batch = make_evaluated(pairs=2, forward="joint")
    first, second = method.forward_streams(method.student, batch.labeled_images.chunk(2))
    for out, images in ((first, batch.labeled_images[:2]), (second, batch.labeled_images[2:])):
        torch.testing.assert_close(out.logits, method.student(images).logits)


def test_the_teacher_starts_as_the_student_and_only_the_student_learns(make_settings, make_batch):
    run = make_settings(2)
    method, batch = methods.build(run).train(), make_batch(run)
    states = zip(method.student.state_dict().values(), method.teacher.state_dict().values(), strict=True)
    assert all(torch.equal(s, t) for s, t in states)
    method.losses(batch)["loss"].backward()
    assert all(p.grad is not None for p in method.student.parameters())
    assert all(p.grad is None for p in method.teacher.parameters())
    assert list(method.networks()) == ["student", "teacher"]


def test_the_teacher_has_dropout_too(make_evaluated):
    method, batch = make_evaluated(channels=8)
    method.teacher.train()
    first, second = (losses_of(method, batch)["low"] for _ in range(2))
    assert first != second
    method.teacher.eval()
    first, second = (losses_of(method, batch)["low"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("buffers", [True, False])
def test_the_teacher_follows_the_student_after_a_step(buffers, make_settings, make_batch):
    run = make_settings(2, ema_decay=0.75, ema_buffers=buffers, learning_rate=0.1)
    method, batch = methods.build(run).train(), make_batch(run)
    before = {name: p.clone() for name, p in method.teacher.named_parameters()}
    updates, followed = method.updates(), {}
    after_step = method.after_step

    def spy(batch):
        followed.update({name: b.clone() for name, b in method.teacher.named_buffers()})
        after_step(batch)

    method.after_step = spy
    step(method, updates, batch, CPU)
    student = dict(method.student.named_parameters())
    for name, p in method.teacher.named_parameters():
        torch.testing.assert_close(p, 0.75 * before[name] + 0.25 * student[name].detach())
    for name, b in method.teacher.named_buffers():
        target = method.student.get_buffer(name)
        moves = buffers and b.is_floating_point()
        torch.testing.assert_close(b, 0.75 * followed[name] + 0.25 * target if moves else followed[name])
