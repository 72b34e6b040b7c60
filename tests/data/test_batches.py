"""Batches: a pure function of seed and iteration, without replacement, labeled and unlabeled apart."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from m3hl.config.datasets.description import Description
from m3hl.config.experiment import Run, parse_config
from m3hl.data import batches as module
from m3hl.data.batches import Batches, split_cases
from m3hl.data.case import Case
from m3hl.data.placement import Budget
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.errors import UserError

CPU = torch.device("cpu")
CROP = {2: (32, 16), 3: (32, 16, 16)}
GROUPS = {"a": True, "b": True, "c": True, "u": False, "w": False}
"""Training groups of two cases each, and whether they have labels."""
BUDGETS = {"device": Budget(2**30, 2**30), "host": Budget(0, 2**30), "store": Budget(0, 0)}
"""What makes the images be kept in each place."""


def settings(dimensions=2, *, labeled=2, seed=5):
    """Return the settings of a run on two classes of one's own."""
    dataset = {"kind": "custom", "source": "folder", "path": "x.csv", "classes": ["one", "two"]}
    training = {"crop": CROP[dimensions], "labeled_batch": 2, "unlabeled_batch": 2}
    study = {
        "name": "test",
        "datasets": {"d": dataset | {"dimensions": dimensions, "training": training}},
        "methods": {"m": {"method": "supervised"}},
    }
    return parse_config(study).settings(Run("d", "m", labeled, seed))


def numbered_cases(groups):
    """Yield cases whose every slice has one value, in image and label: a number of its own, from 1."""
    number = 0
    names = [(f"{group}{frame}", group, "train", groups[group]) for group in groups for frame in (1, 2)]
    rows = [*names, ("v", "v", "val", True), ("t", "t", "test", True)]
    for row, (name, group, split, labeled) in enumerate(rows):
        depth = 2 + row % 2
        volume = np.arange(number + 1, number + depth + 1)[:, None, None] * np.ones((1, 9, 7))
        number += depth
        label = volume.astype(np.uint8) if labeled else None
        yield Case(name, group, split, volume.astype(np.float32), label, None)


def noisy_cases(groups):
    """Yield the same cases as volumes of noise, of many sizes."""
    rng = np.random.default_rng(1)
    for case in numbered_cases(groups):
        shape = tuple(rng.integers(*sides) for sides in ((3, 40), (9, 200), (9, 60)))
        label = None if case.label is None else rng.integers(0, 3, shape, np.uint8)
        yield replace(case, image=rng.random(shape, np.float32), label=label)


def write(path, *, dimensions=2, groups=GROUPS, volumes=numbered_cases):
    description = Description(
        dimensions=dimensions,
        classes=("one", "two"),
        normalization="minmax",
        crop=CROP[dimensions],
        labeled_batch=2,
        unlabeled_batch=2,
        iterations=1,
        validate_every=1,
        selection="last",
        stride=None,
        group="patient",
        citation="",
        license="",
    )
    order = [group for group, labeled in groups.items() if labeled]
    write_store(
        path,
        kind="custom",
        source="folder",
        description=description,
        source_sha256="0" * 64,
        cases=volumes(groups),
        labeled_order=order,
    )
    return path


@pytest.fixture
def store(tmp_path):
    """Return a store with three labeled and two unlabeled groups."""
    with Store(write(tmp_path / "store.h5")) as opened:
        yield opened


def numbers_of(store, groups):
    """Return the numbers of a training split's slices that belong to `groups`."""
    cases = [case for case in store.cases("train") if case.group in groups]
    return sorted(int(plane.max()) for case in cases for plane in store.image(case.name))


def drawn(images):
    """Return which sample each image of a batch shows; around a rotated one there are zeros."""
    return images.flatten(1).amax(1).int().tolist()


def load(store, counts=(4, 4), place="device", **changes):
    batches = Batches.load(store, settings(store.dimensions, **changes), CPU, counts, BUDGETS[place])
    assert batches.labeled.place == batches.unlabeled.place == place
    return batches


def equal(one, other):
    return (
        all(
            torch.equal(getattr(one, name), getattr(other, name))
            for name in ("labeled_images", "labels", "unlabeled_images")
        )
        and (one.rng.random(8) == other.rng.random(8)).all()
    )


def test_a_batch_depends_on_seed_and_iteration_alone(store):
    forwards = [load(store).draw(i) for i in range(9)]
    other = load(store)
    backwards = [other.draw(i) for i in reversed(range(9))][::-1]
    assert all(equal(one, two) for one, two in zip(forwards, backwards, strict=True))
    third = load(store, seed=6)
    assert not any(equal(third.draw(i), forwards[i]) for i in range(9))


@pytest.mark.parametrize("place", ["host", "store"])
@pytest.mark.parametrize("counts", [(4, 4), (3, 0)])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_same_batches_come_from_every_place(tmp_path, dimensions, counts, place):
    # Volumes of several chunks, larger and smaller than the crop; slices of all sizes.
    with Store(write(tmp_path / "s.h5", dimensions=dimensions, volumes=noisy_cases)) as store:
        there, here = load(store, counts), load(store, counts, place)
        # In order, as a training draws them; then from elsewhere, as one that goes on from a checkpoint.
        for iteration in [*range(40), 7, 8, 100]:
            assert equal(here.draw(iteration), there.draw(iteration)), iteration
        here.close()


@pytest.mark.parametrize("batch", [1, 3, 4, 23])
def test_each_pass_shows_every_sample_once_in_an_order_of_its_own(store, batch):
    batches, labeled, unlabeled = load(store, (batch, batch), labeled=2), [], []
    for iteration in range(120 // batch):
        one = batches.draw(iteration)
        labeled += drawn(one.labeled_images)
        unlabeled += drawn(one.unlabeled_images)
    for row, groups in ((labeled, "ab"), (unlabeled, "cuw")):
        everyone = numbers_of(store, groups)
        size = len(everyone)
        passes = [row[start : start + size] for start in range(0, len(row) - size + 1, size)]
        assert len(passes) >= 6
        assert all(sorted(one) == everyone for one in passes)
        assert len({tuple(one) for one in passes}) == len(passes)


def test_labels_are_those_of_the_images(store):
    batches = load(store, (4, 2))
    for iteration in range(10):
        batch = batches.draw(iteration)
        assert (batch.labels == batch.labeled_images[:, 0].long()).all()


def test_shapes_and_types(tmp_path):
    for dimensions, crop in CROP.items():
        with Store(write(tmp_path / f"{dimensions}.h5", dimensions=dimensions)) as store:
            batch = load(store, (4, 2)).draw(0)
        assert (batch.labeled_images.shape, batch.labeled_images.dtype) == ((4, 1, *crop), torch.float32)
        assert (batch.labels.shape, batch.labels.dtype) == ((4, *crop), torch.int64)
        assert (batch.unlabeled_images.shape, batch.unlabeled_images.dtype) == ((2, 1, *crop), torch.float32)


def test_in_3d_a_sample_is_a_volume(tmp_path):
    with Store(write(tmp_path / "s.h5", dimensions=3)) as store:
        batches = load(store, (2, 0), labeled=1)
    assert batches.facts["counts"]["labeled_samples"] == 2
    images = batches.draw(0).labeled_images
    # Volumes smaller than the crop are in its middle, and zeros surround them.
    assert sorted(len(image.unique()) for image in images) == [1 + 2, 1 + 3]


@pytest.mark.parametrize(
    ("labeled", "with_labels", "without"),
    [(1, "a", "bcuw"), (2, "ab", "cuw"), (3, "abc", "uw"), ("all", "abc", "uw")],
)
def test_the_first_groups_are_the_labeled_ones(store, labeled, with_labels, without):
    facts = load(store, labeled=labeled).facts
    counts = {
        "labeled_cases": 2 * len(with_labels),
        "labeled_samples": len(numbers_of(store, with_labels)),
        "unlabeled_cases": 2 * len(without),
        "unlabeled_samples": len(numbers_of(store, without)),
    }
    assert facts == {"labeled_groups": list(with_labels), "counts": counts}
    batch = load(store, (counts["labeled_samples"], counts["unlabeled_samples"]), labeled=labeled).draw(0)
    assert sorted(drawn(batch.labeled_images)) == numbers_of(store, with_labels)
    assert sorted(drawn(batch.unlabeled_images)) == numbers_of(store, without)


@pytest.mark.parametrize("labeled", [2, "all"])
def test_where_all_are_labeled_the_same_images_serve_as_unlabeled(tmp_path, labeled):
    with Store(write(tmp_path / "s.h5", groups={"a": True, "b": True})) as store:
        everyone = numbers_of(store, "ab")
        batch = load(store, (len(everyone), len(everyone)), labeled=labeled).draw(0)
    assert sorted(drawn(batch.labeled_images)) == sorted(drawn(batch.unlabeled_images)) == everyone


def forbid(monkeypatch, store, key, groups):
    """Let reading the images or labels of some groups fail."""
    whole, planes = getattr(store, key), store.planes

    def read(name):
        assert name[0] not in groups, f"the {key} of {name} was read"
        return whole(name)

    def read_planes(name, what, first, last):
        assert what != key or name[0] not in groups, f"the {key} of {name} was read"
        return planes(name, what, first, last)

    monkeypatch.setattr(store, key, read)
    monkeypatch.setattr(store, "planes", read_planes)


def draw_all(batches):
    """Draw until every sample was seen."""
    for iteration in range(8):
        batches.draw(iteration)
    batches.close()


@pytest.mark.parametrize("place", BUDGETS)
@pytest.mark.parametrize("labeled", [1, 3, "all"])
def test_the_label_of_an_unlabeled_case_is_never_read(store, monkeypatch, labeled, place):
    chosen = "abc" if labeled == "all" else "abc"[:labeled]
    forbid(monkeypatch, store, "label", set("abcuwvt") - set(chosen))
    draw_all(load(store, place=place, labeled=labeled))


@pytest.mark.parametrize("place", BUDGETS)
def test_validation_and_test_images_are_never_read(store, monkeypatch, place):
    forbid(monkeypatch, store, "image", "vt")
    draw_all(load(store, place=place))


@pytest.mark.parametrize("place", BUDGETS)
def test_without_need_no_unlabeled_image_is_read(store, monkeypatch, place):
    forbid(monkeypatch, store, "image", "cuwvt")
    batches = load(store, (4, 0), place)
    assert batches.draw(3).unlabeled_images.shape == (0, 1, *CROP[2])
    assert batches.facts["counts"]["unlabeled_cases"] == batches.facts["counts"]["unlabeled_samples"] == 0
    draw_all(batches)


def test_labeled_samples_are_the_same_whether_unlabeled_ones_are_drawn_or_not(store):
    alone, both = load(store, (4, 0)).draw(4), load(store).draw(4)
    assert torch.equal(alone.labeled_images, both.labeled_images)
    assert torch.equal(alone.labels, both.labels)


def test_more_labeled_groups_than_there_are_is_refused(store):
    with pytest.raises(UserError, match=r"store\.h5: 4 labeled asked for, but only 3 training groups have labels"):
        load(store, labeled=4)


def test_a_store_without_labeled_training_cases_is_refused(tmp_path):
    with Store(write(tmp_path / "s.h5", groups={"u": False})) as store:
        for labeled, message in (("all", "holds no labeled case"), (1, "only 0 training groups have labels")):
            with pytest.raises(UserError, match=message):
                split_cases(store, labeled)


@pytest.mark.parametrize(
    ("dimensions", "classes", "message"),
    [
        (3, ("one", "two"), "the run wants 3D"),
        (2, ("one",), "2D images of one, two, the run wants 2D and one;"),
    ],
)
def test_a_store_of_other_data_is_refused(store, dimensions, classes, message):
    wanted = settings(dimensions).model_copy(update={"classes": classes})
    with pytest.raises(UserError, match=message):
        Batches.load(store, wanted, CPU, (2, 2), BUDGETS["device"])


def test_no_random_choice_is_made_twice(store, monkeypatch):
    states = []

    def spy(rng, shape, crop):
        states.append(repr(rng.bit_generator.state["state"]))
        return slice_view(rng, shape, crop)

    slice_view = module.slice_view
    monkeypatch.setattr(module, "slice_view", spy)
    for seed in (5, 6):
        batches = load(store, seed=seed)
        for iteration in range(60):
            batch = batches.draw(iteration)
            states.append(repr(batch.rng.bit_generator.state["state"]))
    assert len(states) == 2 * 60 * (4 + 4 + 1)
    assert len(set(states)) == len(states)


def test_one_image_looks_different_every_time(tmp_path):
    with Store(write(tmp_path / "s.h5")) as store:
        (case, *_) = store.cases("train")
        image = np.random.default_rng(0).random((1, 40, 44)).astype(np.float32)
        info = replace(case, shape=image.shape)
        store.image, store.label = lambda _: image, lambda _: np.zeros(image.shape, np.uint8)
        store.cases, store.labeled_order = lambda _: [info], (info.group,)
        batches = load(store, (1, 0), labeled="all")
    # Four turns and the image as it is are all that can repeat; every rotation has an angle of its own.
    looks = {batches.draw(i).labeled_images.numpy().tobytes() for i in range(200)}
    rotated = 200 * 0.25
    assert abs(len(looks) - 5 - rotated) < 4 * np.sqrt(rotated)


@pytest.mark.parametrize("place", BUDGETS)
def test_a_batch_may_lack_either_half(store, place):
    whole, labeled, unlabeled = (load(store, counts, place).draw(3) for counts in ((2, 3), (2, 0), (0, 3)))
    assert labeled.unlabeled_images.shape == (0, 1, *CROP[2])
    assert unlabeled.labeled_images.shape == (0, 1, *CROP[2])
    assert (unlabeled.labels.shape, unlabeled.labels.dtype) == ((0, *CROP[2]), torch.int64)
    assert torch.equal(labeled.labeled_images, whole.labeled_images)
    assert drawn(unlabeled.unlabeled_images) == drawn(whole.unlabeled_images)


def test_who_is_labeled_is_told_where_no_labeled_image_is_seen(store):
    with closing(load(store, (0, 2))) as batches:
        assert batches.facts["labeled_groups"] == load(store).facts["labeled_groups"]


def test_a_later_stage_draws_other_samples_and_views(store):
    first, second = (Batches.load(store, settings(2), CPU, (4, 4), BUDGETS["device"], stage=n) for n in (0, 1))
    assert [drawn(first.draw(i).labeled_images) for i in range(6)] != [
        drawn(second.draw(i).labeled_images) for i in range(6)
    ]
    assert first.draw(0).rng.random() != second.draw(0).rng.random()


def test_a_batch_knows_its_iteration_and_how_many_there_are(store):
    batches = Batches.load(store, settings(2), CPU, (4, 4), BUDGETS["device"], iterations=70)
    assert [(batch.iteration, batch.iterations) for batch in map(batches.draw, (0, 69))] == [(0, 70), (69, 70)]


def test_a_batch_knows_how_often_every_unlabeled_sample_has_been_drawn(store):
    batches = load(store, (2, 4))
    size = len(batches.unlabeled)
    for iteration in range(12):
        assert batches.draw(iteration).unlabeled_pass == 4 * iteration // size
    assert load(store, (2, 0)).draw(5).unlabeled_pass == 0


def test_noise_on_the_device_depends_on_seed_and_iteration_alone(store):
    one, other, next_one = (torch.rand(5, generator=load(store).draw(i).generator()) for i in (4, 4, 5))
    assert torch.equal(one, other)
    assert not torch.equal(one, next_one)
    batch = load(store).draw(4)
    assert not torch.equal(*(torch.rand(5, generator=batch.generator()) for _ in range(2)))
