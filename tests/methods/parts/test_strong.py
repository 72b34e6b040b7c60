"""Strong views: the released code's numbers, Pillow and SciPy beside them, and how often what is drawn."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter
from scipy import ndimage, stats

from m3hl.methods.parts.strong import (
    SliceChanges,
    VolumeChanges,
    blurred_grey,
    changed_slices,
    changed_volumes,
    draw_slice_changes,
    draw_volume_changes,
    strong,
)


@pytest.fixture
def numbers(released):
    return released("ad-mt")


def of(*values, axes):
    """Return a number per sample as (B, 1, …, 1)."""
    return torch.tensor(values).view(-1, *[1] * axes)


def test_slices_are_the_released_codes(numbers):
    image = torch.from_numpy(np.random.RandomState(81 * numbers["seed"]).rand(40, 36).astype(np.float32)) ** 2
    rows = numbers["strong_2d"]
    changes = SliceChanges(
        *(
            of(*[row["order"][0] == 1 for row in rows], axes=3),
            of(*[row["brightness"] for row in rows], axes=3),
            of(*[row["contrast"] for row in rows], axes=3),
            of(*[row["blur_sigma"] or 0.0 for row in rows], axes=3),
        )
    )
    # All of them in one batch: what is done to one leaves the others alone.
    found = changed_slices(image.expand(len(rows), 1, 40, 36), changes) * 255
    for j, row in enumerate(rows):
        grey = found[j, 0].numpy()
        expected = numbers[f"strong2d_{j}"].astype(float)
        np.testing.assert_allclose(grey, grey.round(), atol=1e-4)
        np.testing.assert_allclose(grey, expected, atol=3 if row["blur_sigma"] else 1e-4)
        assert expected.mean() == pytest.approx(row["mean"])


def test_volumes_are_the_released_codes(numbers):
    seed = numbers["seed"]
    volume = torch.from_numpy(np.random.RandomState(82 * seed).standard_normal((16, 14, 12)).astype(np.float32))
    rows = numbers["strong_3d"]
    yes, none = of(*[True] * len(rows), axes=4), of(*[0.0] * len(rows), axes=4)
    alpha, beta = (of(*[row[name] for row in rows], axes=4) for name in ("alpha", "beta"))
    images = volume.expand(len(rows), 1, 16, 14, 12)
    found = changed_volumes(images, VolumeChanges(yes, alpha, beta, none), torch.randn(images.shape))
    for j, row in enumerate(rows):
        numbers.check(f"strong3d_{j}", found[j, 0])
        assert found[j].double().norm().item() == pytest.approx(row["l2"], rel=1e-5)
    row = numbers["noise_3d"]
    z = torch.from_numpy(np.random.RandomState(84 * seed).standard_normal((1, 1, 16, 14, 12)).astype(np.float32))
    changes = VolumeChanges(of(False, axes=4), *(of(x, axes=4) for x in (1.5, 0.3, row["sigma"])))
    noisy = changed_volumes(images[:1], changes, z).double()
    assert noisy.norm().item() == pytest.approx(row["l2"], rel=1e-5)
    assert noisy.sum().item() == pytest.approx(row["sum"], rel=1e-4)


def some_slices(rng, count=6, size=(44, 36)):
    """Return slices of whole grey levels as [0, 1], and these levels in 8 bits."""
    grey = rng.integers(0, 256, (count, 1, *size)).astype(np.uint8)
    return torch.from_numpy(grey / np.float32(255)), grey[:, 0]


@pytest.mark.parametrize("contrast_first", [True, False])
def test_pillow_changes_brightness_and_contrast_alike(rng, contrast_first):
    # ⌊255 · (v / 255)⌋ may be v − 1: half a level keeps it.
    _, grey = some_slices(rng)
    images = torch.from_numpy((grey[:, None] + np.float32(0.5)) / np.float32(255.5))
    grey = (images * 255).floor().numpy().astype(np.uint8)[:, 0]
    brightness, contrast = (rng.uniform(0.5, 1.5, len(grey)).astype(np.float32) for _ in range(2))
    factors = torch.from_numpy(brightness), torch.from_numpy(contrast), torch.zeros(len(grey))
    changes = SliceChanges(of(*[contrast_first] * len(grey), axes=3), *(f.view(-1, 1, 1, 1) for f in factors))
    found = changed_slices(images, changes) * 255
    for j, (b, c) in enumerate(zip(brightness.tolist(), contrast.tolist(), strict=True)):
        picture = Image.fromarray(grey[j])
        steps = [(ImageEnhance.Brightness, b), (ImageEnhance.Contrast, c)]
        for kind, factor in steps[::-1] if contrast_first else steps:
            picture = kind(picture).enhance(factor)
        np.testing.assert_allclose(found[j, 0], np.asarray(picture, float), atol=1e-4)


@pytest.mark.parametrize("sigma", [0.1, 0.4, 0.9, 1.3, 1.41, 1.42, 1.7, 1.99])
def test_pillow_blurs_alike(rng, sigma):
    _, grey = some_slices(rng, count=2)
    found = blurred_grey(torch.from_numpy(grey[:, None].astype(np.float32)), of(sigma, 0.0, axes=3))
    expected = np.asarray(Image.fromarray(grey[0]).filter(ImageFilter.GaussianBlur(sigma)), float)
    # Pillow adds up whole numbers of 24 bits: a value near a half may be rounded to its other side.
    difference = np.abs(found[0, 0].numpy() - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    np.testing.assert_array_equal(found[1, 0], grey[1])


@pytest.mark.parametrize("sigma", [0.8, 1.9])
def test_scipys_boxes_blur_alike(rng, sigma):
    _, grey = some_slices(rng, count=1)
    h = int((np.sqrt(4 * sigma**2 + 1) - 1) / 2)
    f = (2 * h + 1) * (h * (h + 1) - sigma**2) / (2 * sigma**2 - 6 * (h + 1) ** 2)
    kernel = np.array([f, *[1] * (2 * h + 1), f]) / (2 * h + 1 + 2 * f)
    # Three boxes have the variance of the Gaussian.
    assert 3 * (kernel * np.arange(-h - 1, h + 2) ** 2).sum() == pytest.approx(sigma**2)
    expected = grey[0].astype(float)
    for axis in (1, 0):
        for _ in range(3):
            expected = np.floor(ndimage.correlate1d(expected, kernel, axis, mode="nearest") + 0.5)
    found = blurred_grey(torch.from_numpy(grey[:, None].astype(np.float32)), of(sigma, axes=3))
    np.testing.assert_array_equal(found[0, 0], expected)


def test_slices_beyond_0_and_1_keep_their_range(rng):
    inside = torch.from_numpy(rng.random((3, 1, 20, 24), dtype=np.float32))
    inside[:, :, 0, 0], inside[:, :, 0, 1] = 0, 1
    changes = draw_slice_changes(3, torch.Generator().manual_seed(4), 0.5)
    found = changed_slices(8 * inside - 3, changes)
    torch.testing.assert_close(found, 8 * changed_slices(inside, changes) - 3, atol=8.1 / 255, rtol=0)
    within = inside * 0.5 + 0.2
    levels = changed_slices(within, changes) * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)


def test_volumes_by_numpy(rng):
    volumes = rng.normal(2, 3, (4, 1, 7, 8, 9)).astype(np.float32)
    z = rng.standard_normal(volumes.shape).astype(np.float32)
    alpha, beta, sigma = (1.4, 0.6, 0.9, 1.2), (-0.3, 0.5, 0.2, 0.4), (0.0, 0.8, 0.3, 0.0)
    volumes[2] = 5  # of one value
    jittered = (True, True, True, False)
    changes = VolumeChanges(of(*jittered, axes=4), *(of(*x, axes=4) for x in (alpha, beta, sigma)))
    found = changed_volumes(torch.from_numpy(volumes), changes, torch.from_numpy(z)).numpy()
    for x, a, b, s, noise, got, changed in zip(volumes, alpha, beta, sigma, z, found, jittered, strict=True):
        expected = x.astype(float)
        if changed and x.min() < x.max():
            u = (expected - x.min()) / (x.max() - x.min()) * a
            expected = np.clip(u + b * u.mean(), 0, 1) * (x.max() - x.min()) + x.min()
        np.testing.assert_allclose(got, expected + np.clip(s * noise, -2 * s, 2 * s), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found[3], volumes[3])


def assert_uniform(values, low, high):
    """Assert that many values are spread evenly over a range."""
    assert low <= values.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < values.max() <= high
    assert stats.kstest(values.double().flatten(), "uniform", (low, high - low)).pvalue > 1e-4


@pytest.mark.parametrize("blurred", [0.2, 0.5])
def test_choices_of_slices(blurred):
    count = 20_000
    c = draw_slice_changes(count, torch.Generator().manual_seed(1), blurred)
    jittered = c.brightness != 1
    assert torch.equal(jittered, c.contrast != 1)
    for values, share in ((jittered, 0.8), (c.contrast_first, 0.5), (c.deviation > 0, blurred)):
        assert values.float().mean().item() == pytest.approx(share, abs=0.015)
    assert_uniform(c.brightness[jittered], 0.5, 1.5)
    assert_uniform(c.contrast[jittered], 0.5, 1.5)
    assert_uniform(c.deviation[c.deviation > 0], 0.1, 2.0)
    independent(jittered, c.contrast_first, c.deviation > 0, c.brightness, c.contrast)


def test_choices_of_volumes():
    c = draw_volume_changes(20_000, torch.Generator().manual_seed(1))
    for values, share in ((c.jittered, 0.8), (c.deviation > 0, 0.2)):
        assert values.float().mean().item() == pytest.approx(share, abs=0.015)
    assert_uniform(c.scale, 0.5, 1.5)
    assert_uniform(c.shift, -0.5, 0.5)
    assert_uniform(c.deviation[c.deviation > 0], 0.1, 1.0)
    independent(c.jittered, c.deviation > 0, c.scale, c.shift)


def independent(*choices):
    """Assert that choices do not go together, but for factors that are 1 where nothing is jittered."""
    correlation = np.corrcoef(np.stack([x.flatten().float() for x in choices]))
    assert np.abs(correlation - np.eye(len(choices))).max() < 0.03


@pytest.mark.parametrize("shape", [(5, 1, 20, 24), (5, 1, 8, 9, 10)])
def test_views_come_from_the_generator_sample_by_sample(rng, shape):
    images = torch.from_numpy(rng.random(shape, dtype=np.float32))
    one, again, other = (strong(images, torch.Generator().manual_seed(s), blurred=0.5) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    same = strong(images[:1].expand(shape), torch.Generator().manual_seed(1), blurred=0.5)
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same[0], one[0])
