"""Equations 1 to 5 in plain NumPy, as the paper prints them, against the losses and against whole steps."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from m3hl import methods
from m3hl.methods.parts.losses import high_level_loss, low_level_loss, segmentation_loss


class Row(NamedTuple):
    """What the paper, or the released code, fills the equations with."""

    kept: str  # which image M keeps in stream a and in stream b: (u)nlabeled or (l)abeled
    weights: dict  # of the two images' regions
    factor: float  # of Dice + CE
    dice: str
    low: str
    high: str


PAPER, RELEASED = {"u": 1, "l": 0.5}, {"u": 0.5, "l": 1}
TABLE = {
    ("paper", 2): Row("uu", PAPER, 1, "squared", "first_down", "bottleneck"),
    ("paper", 3): Row("uu", PAPER, 1, "plain", "first_down", "bottleneck"),
    ("released", 2): Row("ul", RELEASED, 0.5, "squared", "last_decoder", "bottleneck"),
    ("released", 3): Row("lu", RELEASED, 0.5, "plain", "last_decoder", "pooled_bottleneck"),
}
CROPS = {2: (32, 64), 3: (80, 48, 48)}


def softmax(logits):
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return exponential / exponential.sum(1, keepdims=True)


def cross_entropy(p, y, region):
    chosen = np.take_along_axis(p, y[:, None], axis=1)[:, 0]
    return -np.log(chosen[region]).sum() / region.sum()


def dice_loss(p, y, region, form):
    losses = []
    # One score per class: over the whole batch, or for each sample.
    for samples in [slice(None)] if form == "squared" else [slice(b, b + 1) for b in range(len(y))]:
        inside = region[samples]
        for c in range(p.shape[1]):
            pc, yc = p[samples, c][inside], (y[samples] == c)[inside].astype(float)
            if form == "squared":
                dice = (2 * (pc * yc).sum() + 1e-10) / ((pc**2).sum() + (yc**2).sum() + 1e-10)
            else:
                dice = (2 * (pc * yc).sum() + 1e-5) / (pc.sum() + yc.sum() + 1e-5)
            losses.append(1 - dice)
    return np.mean(losses)


def ce_and_dice(p, y, region, form):
    return cross_entropy(p, y, region) + dice_loss(p, y, region, form)


def equation_2(kept, other, mask):
    return kept * mask + other * (1 - mask)


def equation_4(mixed, unlabeled):
    return sum(np.abs(s - t).mean() for s in mixed for t in unlabeled) / 4


def equation_5(mixed, unlabeled):
    def cosine(s, t):
        pairs = zip(s.reshape(len(s), -1), t.reshape(len(t), -1), strict=True)
        return np.mean([f @ g / (np.linalg.norm(f) * np.linalg.norm(g)) for f, g in pairs])

    return sum(1 - cosine(s, t) for s in mixed for t in unlabeled) / 4


def pooled(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3, 3), axis=(2, 3, 4))
    return windows[:, :, ::2, ::2, ::2].max(axis=(-3, -2, -1))


def pseudo_label(logits):
    raw = softmax(logits).argmax(1)
    clean = np.zeros_like(raw)
    for b, c in np.ndindex(len(raw), logits.shape[1]):
        if c > 0 and (raw[b] == c).any():
            components = label(raw[b] == c, connectivity=raw[b].ndim)
            clean[b][components == np.bincount(components.flat)[1:].argmax() + 1] = c
    return clean


@st.composite
def problems(draw):
    """Logits, targets, a mask and the weight α, in 2D or 3D."""
    shape = tuple(draw(st.lists(st.integers(2, 6), min_size=2, max_size=3)))
    batch, classes = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = draw(st.sampled_from([0.1, 3.0])) * rng.standard_normal((batch, classes, *shape))
    pseudo, labels = rng.integers(0, classes, (2, batch, *shape))
    mask = rng.random((batch, *shape)) < 0.5
    mask.flat[:2] = [True, False]
    return logits, labels, pseudo, mask, draw(st.floats(0, 2))


@pytest.mark.parametrize("form", ["squared", "plain"])
@given(problem=problems())
@settings(max_examples=60)
def test_mix_loss_is_equation_3(form, problem):
    logits, labels, pseudo, mask, alpha = problem
    p, y = softmax(logits), equation_2(pseudo, labels, mask.astype(int))
    expected = ce_and_dice(p, y, mask, form) + alpha * ce_and_dice(p, y, ~mask, form)

    x, region = torch.from_numpy(logits), torch.from_numpy(mask.astype(float))
    got = segmentation_loss(x, torch.from_numpy(pseudo), region, form, "sum")
    got = got + alpha * segmentation_loss(x, torch.from_numpy(labels), 1 - region, form, "sum")
    assert got.item() == pytest.approx(expected, rel=1e-6)


@given(st.lists(st.integers(1, 5), min_size=3, max_size=5), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_consistency_losses_are_equations_4_and_5(shape, seed):
    features = np.random.default_rng(seed).standard_normal((4, *shape))
    mixed, unlabeled = features[:2], features[2:]
    tensors = [torch.from_numpy(f) for f in features]
    assert low_level_loss(tensors[:2], tensors[2:]).item() == pytest.approx(equation_4(mixed, unlabeled))
    assert high_level_loss(tensors[:2], tensors[2:]).item() == pytest.approx(equation_5(mixed, unlabeled))


def arrays(output):
    """Return a network's output in float64."""
    return {name: value.detach().double().numpy() for name, value in output._asdict().items()}


def watch(network):
    """Return the list to which each forward pass will add its input and its outputs."""
    passes = []
    network.register_forward_hook(lambda _, args, out: passes.append((args[0].numpy(), arrays(out))))
    return passes


@pytest.mark.parametrize(("preset", "dimensions"), TABLE)
def test_a_step_is_equation_1(preset, dimensions, make_settings, make_batch, monkeypatch):
    row = TABLE[preset, dimensions]
    run = make_settings(dimensions, preset=preset, crop=CROPS[dimensions], pairs=2, consistency_weight=0.7)
    method, batch = methods.build(run).train(), make_batch(run)
    for parameter in method.teacher.parameters():  # the teacher shall not be the student
        parameter.mul_(1.1)
    drawn = method.draw_mask(batch)
    monkeypatch.setattr(method, "draw_mask", lambda _: drawn)
    student_passes, teacher_passes = watch(method.student), watch(method.teacher)
    got = {name: value.item() for name, value in method.losses(batch).items()}

    students, teachers = ([out for _, out in passes] for passes in (student_passes, teacher_passes))
    mask = drawn.numpy()
    images = {"l": batch.labeled_images.numpy(), "u": batch.unlabeled_images.numpy()}
    targets = {"l": batch.labels.numpy(), "u": np.concatenate([pseudo_label(t["logits"]) for t in teachers])}
    mix = 0
    for stream, kept, (seen, student) in zip((slice(0, 2), slice(2, 4)), row.kept, student_passes, strict=True):
        other = {"u": "l", "l": "u"}[kept]
        x = equation_2(images[kept][stream], images[other][stream], mask[:, None])
        y = equation_2(targets[kept][stream], targets[other][stream], mask.astype(int))
        np.testing.assert_array_equal(seen, x)
        for image, region in ((kept, mask == 1), (other, mask == 0)):
            loss = row.factor * ce_and_dice(softmax(student["logits"]), y, region, row.dice)
            mix += row.weights[image] * loss

    def features(name):
        if name == "pooled_bottleneck":
            return [[pooled(out["bottleneck"]) for out in outputs] for outputs in (students, teachers)]
        return [[out[name] for out in outputs] for outputs in (students, teachers)]

    low, high = equation_4(*features(row.low)), equation_5(*features(row.high))
    expected = {"loss": mix + 0.7 * (low + high), "mix": mix, "low": low, "high": high}
    assert got == pytest.approx(expected, rel=1e-4)
