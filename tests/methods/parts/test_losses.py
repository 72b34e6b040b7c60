"""The losses against the released code, and where a region or a class is empty."""

import pytest
import torch
from torch.nn.functional import l1_loss

from m3hl.methods.parts.losses import (
    cross_entropy,
    dice_loss,
    high_level_loss,
    low_level_loss,
    pooled,
    segmentation_loss,
)

FORMS = ("squared", "plain")


def close(expected):
    return pytest.approx(expected, rel=1e-4)


def gradient_norm(loss, logits):
    return torch.autograd.grad(loss, logits)[0].norm().item()


def sides(reference, name, targets):
    """Return logits that take a gradient, and (target, region, weight) of the mask's side and of the other."""
    mask = reference.tensor(f"{name}_mask").float()
    inside, outside = (reference.tensor(f"{name}_y_{target}") for target in targets)
    weights = {"label": 1.0, "pseudo": 0.5}
    parts = [(inside, mask, weights[targets[0]]), (outside, 1 - mask, weights[targets[1]])]
    return reference.tensor(f"{name}_logits").requires_grad_(), parts


STREAMS = [("pseudo_in_mask", ("pseudo", "label")), ("label_in_mask", ("label", "pseudo"))]


@pytest.mark.parametrize(("stream", "targets"), STREAMS)
def test_acdc_losses_equal_the_released_ones(reference, stream, targets):
    expected = reference[f"loss2d_{stream}"]
    logits, parts = sides(reference, "loss2d", targets)
    dice = sum(w * dice_loss(logits.softmax(1), y, region, "squared") for y, region, w in parts)
    ce = sum(w * cross_entropy(logits, y, region) for y, region, w in parts)
    assert dice.item() == close(expected["dice"])
    assert ce.item() == close(expected["ce"])
    assert gradient_norm((dice + ce) / 2, logits) == close(expected["grad_l2"])


@pytest.mark.parametrize(("stream", "targets"), STREAMS)
def test_la_loss_equals_the_released_one(reference, stream, targets):
    expected = reference[f"loss3d_{stream}"]
    logits, parts = sides(reference, "loss3d", targets)
    loss = sum(w * segmentation_loss(logits, y, region, "plain", "mean") for y, region, w in parts)
    assert loss.item() == close(expected["loss"])
    assert gradient_norm(loss, logits) == close(expected["grad_l2"])


def test_consistency_losses_equal_the_released_ones(reference):
    low, high = ([reference.tensor(f"{name}_{i}") for i in range(4)] for name in ("low", "high"))
    assert low_level_loss(low[:2], low[2:]).item() == close(reference["low"])
    assert high_level_loss(high[:2], high[2:]).item() == close(reference["high"])


def test_pooling_is_max_pooling_also_in_its_gradient():
    bottleneck = torch.randn(2, 3, 7, 7, 5, requires_grad=True)
    expected = torch.nn.functional.max_pool3d(bottleneck, kernel_size=3, stride=2)
    assert torch.equal(pooled(bottleneck), expected)
    weight = torch.randn_like(expected)
    (got,) = torch.autograd.grad((pooled(bottleneck) * weight).sum(), bottleneck)
    (right,) = torch.autograd.grad((expected * weight).sum(), bottleneck)
    torch.testing.assert_close(got, right)


@pytest.mark.parametrize("form", FORMS)
def test_a_perfect_prediction_costs_nothing(form):
    target = torch.randint(0, 3, (2, 8, 8))
    logits = 100 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    # One class is absent: absent from the prediction too, it is as good as found.
    more = torch.cat([logits, torch.full((2, 1, 8, 8), -100.0)], dim=1)
    for prediction in (logits, more):
        assert segmentation_loss(prediction, target, None, form, "sum").item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_region_costs_nothing_and_its_gradient_is_zero(form):
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    target = torch.randint(0, 3, (2, 8, 8))
    loss = segmentation_loss(logits, target, torch.zeros(2, 8, 8), form, "sum")
    assert loss.item() == 0
    assert gradient_norm(loss, logits) == 0


@pytest.mark.parametrize("form", FORMS)
def test_what_lies_outside_the_region_does_not_matter(form):
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    region = torch.zeros(2, 8, 8)
    region[:, :4] = 1
    elsewhere, other = logits.clone(), target.clone()
    elsewhere[:, :, 4:] += torch.randn(2, 3, 4, 8)
    other[:, 4:] = 0
    expected = segmentation_loss(logits, target, region, form, "sum")
    torch.testing.assert_close(segmentation_loss(elsewhere, other, region, form, "sum"), expected)


@pytest.mark.parametrize("form", FORMS)
def test_no_region_is_the_whole_image(form):
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    everywhere = segmentation_loss(logits, target, torch.ones(2, 8, 8), form, "mean")
    assert segmentation_loss(logits, target, None, form, "mean") == everywhere


def test_plain_dice_is_taken_per_sample_and_squared_dice_over_the_batch():
    # Background everywhere, predicted with p = 1 in the first sample and p = 0 in the second.
    probability = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1).expand(2, 2, 4, 4)
    target, region = torch.zeros(2, 4, 4, dtype=torch.long), torch.ones(2, 4, 4)
    # Background: Dice 1 and 0. Foreground: 1 (absent from both) and 0.
    assert dice_loss(probability, target, region, "plain").item() == pytest.approx(1 / 2, abs=1e-5)
    # Background: 2 · 16 / (16 + 32). Foreground: 0 / (16 + 0).
    assert dice_loss(probability, target, region, "squared").item() == pytest.approx(1 - (2 / 3) / 2, abs=1e-5)


def test_the_two_dice_forms_differ_where_the_prediction_is_unsure():
    probability = torch.full((1, 2, 4, 4), 0.5)
    target, region = torch.zeros(1, 4, 4, dtype=torch.long), torch.ones(1, 4, 4)
    # Background: 2 · 8 / (8 + 16) and 2 · 8 / (4 + 16). Foreground: 0.
    assert dice_loss(probability, target, region, "plain").item() == pytest.approx(1 - (2 / 3) / 2, abs=1e-5)
    assert dice_loss(probability, target, region, "squared").item() == pytest.approx(1 - (4 / 5) / 2, abs=1e-5)


def test_features_of_equal_direction_agree_on_the_high_level_and_of_equal_value_on_the_low():
    x, y = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    scales = torch.tensor([2.0, 5.0]).view(2, 1, 1, 1)
    assert high_level_loss([x, x], [x * scales, x * scales]).item() == pytest.approx(0, abs=1e-6)
    assert high_level_loss([x, x], [-x, -x]).item() == pytest.approx(2)
    assert low_level_loss([x, y], [x, y]) == pytest.approx((x - y).abs().mean().item() / 2)
    assert low_level_loss([x, x], [x + 1, x - 3]).item() == pytest.approx(2)


@pytest.mark.parametrize("shape", [(2, 16, 96, 64), (1, 3, 9, 7, 5)])
def test_the_low_level_loss_and_its_gradient_are_those_of_torchs_l1_loss(shape):
    # Larger than what is worked on at a time, in the order of memory that the networks use, with equal values too.
    order = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    streams = [torch.randint(-3, 4, shape).float().contiguous(memory_format=order) for _ in range(4)]
    mixed, expected = ([s.clone().requires_grad_() for s in streams[:2]] for _ in range(2))
    (3 * low_level_loss(mixed, streams[2:])).backward()
    pairs = torch.stack([l1_loss(s, t) for s in expected for t in streams[2:]])
    assert low_level_loss(mixed, streams[2:]).item() == pytest.approx(pairs.mean().item())
    (3 * pairs.mean()).backward()
    for one, other in zip(mixed, expected, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
