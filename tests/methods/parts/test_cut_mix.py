"""CutMix of a batch with itself: whose values are where, and how permutations and boxes are drawn."""

import numpy as np
import pytest
import torch

from m3hl.methods.parts.cut_mix import CutMix, centered_boxes

CPU = torch.device("cpu")


@pytest.mark.parametrize("crop", [(24, 32), (16, 12, 20)])
def test_each_sample_takes_its_others_values_inside_its_box(rng, crop):
    mixed = CutMix.draw(rng, 5, crop, CPU)
    values = rng.standard_normal((5, *crop)).astype(np.float32)
    expected = values.copy()
    for i, j in enumerate(mixed.permutation.tolist()):
        expected[i][mixed.mask[i].numpy()] = values[j][mixed.mask[i].numpy()]
    np.testing.assert_array_equal(mixed(torch.from_numpy(values)), expected)
    channels = torch.from_numpy(np.stack([values, -values], axis=1))
    np.testing.assert_array_equal(mixed(channels), np.stack([expected, -expected], axis=1))
    labels = torch.from_numpy(values > 0)
    assert torch.equal(mixed(labels), torch.from_numpy(expected > 0))


def test_one_share_serves_a_batch_and_centers_begin_at_an_eighth(rng, monkeypatch):
    crop, drawn = (40, 24, 17), []
    monkeypatch.setattr(
        "m3hl.methods.parts.cut_mix.centered_boxes",
        lambda share, centers, size: drawn.append((share, centers)) or centered_boxes(share, centers, size),
    )
    orders = [tuple(CutMix.draw(rng, 3, crop, CPU).permutation.tolist()) for _ in range(3000)]
    assert [orders.count(order) / 3000 for order in set(orders)] == pytest.approx([1 / 6] * 6, abs=0.03)
    shares = np.array([share for share, _ in drawn])
    # Beta(4, 4) has the mean 1/2 and the variance 1/36.
    assert [shares.mean(), shares.var()] == pytest.approx([0.5, 1 / 36], rel=0.05)
    centers = np.concatenate([centers for _, centers in drawn])
    for axis, n in enumerate(crop):
        counts = np.bincount(centers[:, axis], minlength=n)
        assert (counts[: n // 8] == 0).all()
        assert counts[n // 8 :].min() > 0.7 * counts[n // 8 :].mean()


def test_a_box_is_cut_off_at_the_border():
    # √(1 − 0.75) = 1/2 of 20 and of 9 voxels: sides of 10 and 4.
    boxes = centered_boxes(0.75, np.array([[3, 8], [18, 4]]), (20, 9))
    np.testing.assert_array_equal(boxes, [[[0, 6], [8, 9]], [[13, 2], [20, 6]]])
