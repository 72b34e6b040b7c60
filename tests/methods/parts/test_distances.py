"""Signed distance maps: closed forms, their definition voxel by voxel, released maps; both ways of measuring."""

import numpy as np
import pytest
import torch

from m3hl.methods.parts import distances
from m3hl.methods.parts.distances import signed_distances

WAYS = ["host", "device"]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Let the maps be made as on the host, or as on a GPU."""
    monkeypatch.setattr(distances, "nearest_on_host", getattr(distances, f"nearest_on_{request.param}"))


def by_definition(mask):
    """Return the signed distance map of one mask, from all pairs of voxels."""
    points = np.argwhere(np.ones_like(mask)).astype(float)
    inside = mask.ravel()
    if inside.all() or not inside.any():
        return np.full(mask.shape, -1.0 if inside.all() else 0.0)
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    d_in, d_out = apart[:, ~inside].min(1), apart[:, inside].min(1)
    edge = np.zeros_like(mask)
    for axis in range(mask.ndim):
        for step in (-1, 1):
            neighbour = np.roll(mask, step, axis)
            # What is rolled in from the other end is no neighbour.
            np.moveaxis(neighbour, axis, 0)[0 if step == 1 else -1] = True
            edge |= mask & ~neighbour
    signed = np.where(inside, -d_in / d_in[inside].max(), d_out / d_out[~inside].max())
    return np.where(edge.ravel(), 0, signed).reshape(mask.shape)


def blob(rng, shape):
    """Return a random mask of a few ellipsoids, some cut by the border."""
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    mask = np.zeros(shape, bool)
    for _ in range(rng.integers(1, 4)):
        centre, radius = ([n * rng.uniform(*span) for n in shape] for span in ((0, 1), (0.1, 0.4)))
        mask |= sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radius, strict=True)) < 1
    return mask


def test_a_row_of_voxels(way):
    labels = torch.tensor([[[0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]]])
    # Inside the nearest outside voxel is 1, 2, 3, 4, 3, 2, 1 away: the first and the last are the edge.
    expected = [2 / 4, 1 / 4, 0, -2 / 4, -3 / 4, -1, -3 / 4, -2 / 4, 0, 1 / 4, 2 / 4, 3 / 4, 1]
    torch.testing.assert_close(signed_distances(labels, 1, "zero"), torch.tensor([[[expected]]]))


def test_a_ball_is_a_ball(way):
    grid = np.stack(np.meshgrid(*[np.arange(31) - 15] * 3, indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    found = signed_distances(torch.from_numpy(radius <= 9)[None].long(), 1, "zero")[0, 0].numpy()
    assert found[15, 15, 15] == -1
    assert found[0, 0, 0] == 1
    outside = radius > 9
    ideal = (radius - 9) / (radius.max() - 9)
    # The nearest voxel of a ball of voxels is less than one further than the ball.
    assert np.abs(found - ideal)[outside].max() < 1 / (radius.max() - 9)


@pytest.mark.parametrize("shape", [(9, 12), (7, 5, 6)])
def test_random_masks_are_as_the_definition_says(way, rng, shape):
    masks = np.stack([blob(rng, shape) for _ in range(12)] + [rng.random(shape) < p for p in (0.02, 0.5, 0.98)])
    found = signed_distances(torch.from_numpy(masks).long(), 1, "zero")
    np.testing.assert_allclose(found[:, 0], [by_definition(mask) for mask in masks], atol=1e-6)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(("absent", "empty"), [("zero", 0.0), ("outside", 1.0)])
def test_nothing_everything_and_one_voxel(way, absent, empty):
    labels = torch.zeros(3, 4, 4, 4, dtype=torch.long)
    labels[1], labels[2, 0, 0, 0] = 1, 1
    found = signed_distances(labels, 1, absent)
    assert (found[0] == empty).all()
    assert (found[1] == -1).all()
    # A single voxel is edge and nothing else.
    assert found[2, 0, 0, 0, 0] == 0
    assert found[2, 0, 3, 3, 3] == 1


def test_every_class_is_one_against_the_rest(way, rng):
    labels = torch.from_numpy(rng.integers(0, 4, (3, 8, 10)))
    labels[1][labels[1] == 2] = 0
    found = signed_distances(labels, 3, "outside")
    alone = [signed_distances((labels == c).long(), 1, "outside") for c in (1, 2, 3)]
    assert torch.equal(found, torch.cat(alone, dim=1))
    assert (found[1, 1] == 1).all()


@pytest.mark.parametrize("method", ["dtc", "sassnet"])
def test_maps_are_the_released_ones(way, released, method):
    numbers = released(method)
    masks = numbers.tensor("sdf3d_masks")
    found = signed_distances(masks, 1, "zero")[:, 0]
    torch.testing.assert_close(found, numbers.tensor("sdf3d_maps"), rtol=0, atol=1e-6)
    for one, mask, row in zip(found, masks, numbers["sdf3d"].values(), strict=True):
        check_facts(one, row)
        assert mask.sum() == row["foreground"]
    labels = numbers.tensor("sdf2d_labels")
    found = signed_distances(labels, 3, "zero")
    torch.testing.assert_close(found, numbers.tensor("sdf2d_maps"), rtol=0, atol=1e-6)
    for maps, rows in zip(found, numbers["sdf2d"], strict=True):
        for one, row in zip(maps, rows, strict=True):
            check_facts(one, row)


def check_facts(one, row):
    """Assert a map's sum, norm, extremes and number of zeros."""
    assert one.double().sum().item() == pytest.approx(row["sum"], rel=1e-6)
    assert one.double().norm().item() == pytest.approx(row["l2"], rel=1e-6)
    assert [one.min().item(), one.max().item()] == [row["min"], row["max"]]
    assert (one == 0).sum() == row["zeros"]
