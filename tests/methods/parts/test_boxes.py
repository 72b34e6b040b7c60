"""The boxes: French's law in 2D, its extension to 3D, and the masks on the device."""

from math import prod

import numpy as np
import pytest
import torch

from m3hl.methods.parts.boxes import box_masks, draw_boxes

CPU = torch.device("cpu")
ROWS = {
    "boxes2d_64": (101, 6, (64, 64), 0.5),
    "boxes2d_256": (102, 6, (256, 256), 0.5),
    "boxes3d_48": (103, 4, (48, 48, 48), 0.5),
    "boxes3d_la": (104, 4, (112, 112, 80), 0.5),
    "boxes3d_la_share_0.2": (105, 4, (112, 112, 80), 0.2),
    "loss2d_boxes": (106, 3, (32, 32), 0.5),
    "loss3d_boxes": (107, 2, (24, 24, 16), 0.5),
}


@pytest.mark.parametrize("row", ROWS)
def test_boxes_are_those_of_the_released_code(released, row):
    seed, count, crop, share = ROWS[row]
    numbers = released("cutmix")
    boxes = draw_boxes(np.random.RandomState(numbers["seed"] * seed), count, crop, share)
    np.testing.assert_array_equal(boxes.reshape(count, -1), numbers[row])


@pytest.mark.parametrize(("row", "name"), [("loss2d_boxes", "boxmask2d"), ("loss3d_boxes", "boxmask3d")])
def test_masks_are_those_of_the_released_code(released, row, name):
    _, count, crop, _ = ROWS[row]
    boxes = np.array(released("cutmix")[row]).reshape(count, 2, len(crop))
    assert torch.equal(box_masks(boxes, crop, CPU).long(), released("cutmix").tensor(name))


@pytest.mark.parametrize(("crop", "share"), [((256, 256), 0.5), ((64, 32), 0.3), ((112, 112, 80), 0.5)])
def test_boxes_lie_inside_and_have_their_share(rng, crop, share):
    boxes = draw_boxes(rng, 4000, crop, share)
    first, end = boxes[:, 0], boxes[:, 1]
    assert ((first >= 0) & (first < end) & (end <= crop)).all()
    # Each side is rounded by half a voxel at most.
    rounding = 1.01 * sum(0.5 / (share * length) for length in crop)
    np.testing.assert_allclose((end - first).prod(1) / prod(crop), share, rtol=rounding)
    assert ((end - first) / crop >= share - 0.5 / np.array(crop)).all()


def test_sides_and_places_of_many_boxes(rng):
    # The mean of π^U is (π − 1) / ln π, 0.721 for a half; in 3D the second and third axis share what is left.
    flat = draw_boxes(rng, 20_000, (256, 256), 0.5)
    np.testing.assert_allclose((flat[:, 1] - flat[:, 0]).mean(0) / 256, 0.721, atol=0.004)
    solid = draw_boxes(rng, 20_000, (112, 112, 80), 0.5)
    np.testing.assert_allclose(
        ((solid[:, 1] - solid[:, 0]) / (112, 112, 80)).mean(0), (0.72, 0.85, 0.85), atol=0.005
    )
    for boxes, crop in ((flat, (256, 256)), (solid, (112, 112, 80))):
        centers = boxes.mean(1) / crop
        np.testing.assert_allclose(centers.mean(0), 0.5, atol=0.005)
        assert abs(np.corrcoef(centers.T)[0, 1]) < 0.03


def test_a_mask_is_its_box(rng):
    boxes = draw_boxes(rng, 5, (20, 24, 18), 0.5)
    expected = np.zeros((5, 20, 24, 18), bool)
    for mask, (first, end) in zip(expected, boxes, strict=True):
        mask[tuple(slice(a, b) for a, b in zip(first, end, strict=True))] = True
    np.testing.assert_array_equal(box_masks(boxes, (20, 24, 18), CPU).numpy(), expected)
