"""ABD's strong view: cutout and jitter of the released code, and the statistics of what is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from m3hl.data.batches import Batch
from m3hl.methods.parts import cutout_jitter as parts
from m3hl.methods.parts.cutout_jitter import cutout_masks, draw_cutout, jittered, strong_view

CPU = torch.device("cpu")


class Legacy:
    """The numbers of numpy's old generator; `tries` counts the boxes that it has served."""

    def __init__(self, seed):
        self.random, self.draws = np.random.RandomState(seed), 0

    def uniform(self, low, high):
        self.draws += 1
        return self.random.uniform(low, high)

    def integers(self, low, high):
        return self.random.randint(low, high)

    @property
    def tries(self):
        tries, self.draws = self.draws // 2, 0
        return tries


def test_cutouts_are_those_of_the_released_code(released, monkeypatch):
    numbers = released("abd")
    seed, legacy = numbers["seed"] * 81, Legacy(numbers["seed"] * 81)
    for i, row in enumerate(numbers["cutout"]):
        shape = tuple(row["shape"])
        box = draw_cutout(legacy, shape)
        assert legacy.tries == row["tries"]
        (top, left), (bottom, right) = box.tolist()
        assert ([top, bottom], [left, right]) == (row["rows"], row["columns"])
        noise = torch.zeros(1, 1, *shape, dtype=torch.int64)
        noise[0, 0, top:bottom, left:right] = torch.from_numpy(
            legacy.random.randint(0, 2, (bottom - top, right - left))
        )
        image = 0.25 + 0.5 * np.random.RandomState(seed + 500 + i).rand(*shape)
        label = np.random.RandomState(seed + 600 + i).randint(1, 4, shape)
        found = cut_alone(monkeypatch, image, label, box, noise)
        assert found.labeled_images.sum().item() == pytest.approx(row["image_sum"], rel=1e-6)
        assert (found.labeled_images == 1).sum() == row["ones"]
        assert found.labels.sum() == row["label_sum"]
        if i == 0:
            np.testing.assert_array_equal(found.labels[0], numbers["cutout_0_label"])
            numbers.check("cutout_0_image", found.labeled_images[0, 0], 1e-6)


def cut_alone(monkeypatch, image, label, box, noise):
    """Return the strong view of an image with a given box of given noise, and without jitter."""
    images = torch.from_numpy(image.astype(np.float32))[None, None]
    batch = Batch(images, torch.from_numpy(label)[None], images[:0], np.random.default_rng(0))
    monkeypatch.setattr(parts, "cutout_masks", lambda *_: parts.box_masks(box[None], image.shape, CPU))
    monkeypatch.setattr(torch, "randint", lambda *_, **options: noise)
    monkeypatch.setattr(parts, "jittered", lambda images, *_: images)
    return strong_view(batch)


def test_jitter_is_that_of_the_released_code(released):
    numbers = released("abd")
    image = np.random.RandomState(numbers["seed"] * 82).rand(64, 64).astype(np.float32)
    rows = numbers["jitter"]
    f, g = (torch.tensor([row[name] for row in rows]) for name in ("brightness", "contrast"))
    first = torch.tensor([row["first"] == "brightness" for row in rows])
    found = jittered(torch.from_numpy(image).expand(len(rows), 1, 64, 64), f, g, first)
    numbers.check("jitter_0", found[0, 0], 1e-5)
    for view, row in zip(found.double(), rows, strict=True):
        got = {"sum": view.sum(), "l2": view.norm(), "max": view.max(), "min": view.min()}
        assert {k: v.item() for k, v in got.items()} == pytest.approx({k: row[k] for k in got}, rel=1e-5)
    ranges = numbers["jitter_ranges"]
    assert ranges["brightness"] == ranges["contrast"] == pytest.approx(parts.JITTER)


def test_half_of_the_images_are_cut_in_boxes_that_fit(rng):
    masks = cutout_masks(rng, 3000, (40, 60), CPU)
    areas = masks.sum((1, 2)).double() / 2400
    cut = areas[areas > 0]
    assert len(cut) / 3000 == pytest.approx(0.5, abs=0.03)
    # Both sides are rounded down.
    assert cut.min() > 0.012
    assert cut.max() <= 0.4
    boxes = np.array([draw_cutout(rng, (40, 60)) for _ in range(3000)])
    assert (boxes >= 0).all()
    assert (boxes[:, 1] <= (40, 60)).all()
    # No row and no column is left out.
    assert boxes[:, 0].min(0).tolist() == [0, 0]
    assert boxes[:, 1].max(0).tolist() == [40, 60]
    height, width = (boxes[:, 1] - boxes[:, 0]).T
    # The ratio is uniform from 0.3 to 3.3; high boxes fit in this crop less often than wide ones.
    assert (height / width).min() > 0.22
    assert (height / width).max() < 4.5
    assert np.mean(height > width) > 0.5


def test_factors_and_order_are_fair(rng):
    generator = torch.Generator().manual_seed(3)
    factors = parts.random_factors(20_000, generator)
    assert kstest(factors.numpy(), "uniform", args=(0.2, 1.6)).pvalue > 1e-3


@pytest.fixture
def batch(rng):
    images = torch.from_numpy(rng.random((8, 1, 32, 48), dtype=np.float32))
    labels = torch.from_numpy(rng.integers(1, 4, (4, 32, 48)))
    return Batch(images[:4], labels, images[4:], np.random.default_rng(5))


def test_noise_is_of_both_values_and_labeled_as_background(batch, monkeypatch):
    monkeypatch.setattr(parts, "CUTOUT_PROBABILITY", 1.0)
    monkeypatch.setattr(parts, "jittered", lambda images, *_: images)
    strong = strong_view(batch)
    for weak, other, labels in zip(batch.labeled_images, strong.labeled_images, strong.labels, strict=True):
        cut = labels == 0
        assert cut.any()
        assert torch.equal(other[0][~cut], weak[0][~cut])
        assert other[0][cut].unique().tolist() == [0, 1]
        assert other[0][cut].mean().item() == pytest.approx(0.5, abs=4 * 0.5 / cut.sum().item() ** 0.5)
    changed = strong.unlabeled_images != batch.unlabeled_images
    assert all(0 < each.float().mean() < 0.5 for each in changed)


def test_both_orders_of_the_jitter_occur_and_every_image_has_its_own(batch, monkeypatch):
    taken = []
    monkeypatch.setattr(parts, "jittered", lambda images, *numbers: taken.append(numbers) or images)
    for seed in range(40):
        strong_view(replace(batch, rng=np.random.default_rng(seed)))
    brightness, contrast, first = (torch.cat(each) for each in zip(*taken, strict=True))
    assert first.float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert len(brightness.unique()) == len(contrast.unique()) == 320
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.2


def test_the_iterations_generator_decides(batch):
    one, again = (strong_view(replace(batch, rng=np.random.default_rng(5))) for _ in range(2))
    other = strong_view(replace(batch, rng=np.random.default_rng(6)))
    assert torch.equal(one.labeled_images, again.labeled_images)
    assert not torch.equal(one.labeled_images, other.labeled_images)
    assert one.labeled_images.min() >= 0
    assert one.labeled_images.max() <= 1
