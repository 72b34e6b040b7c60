"""Dice of pseudo-labels in the learning curve: what it measures, and that training never comes to know of it."""

import dataclasses

import h5py
import numpy as np
import pytest
import torch

from m3hl import methods, nets
from m3hl.data.store import Store
from m3hl.methods.parts.teacher import pseudo_label
from m3hl.training import loop
from m3hl.training.pseudo_labels import PseudoLabelCheck

CPU = torch.device("cpu")
COLUMNS = ("pseudo_student_dice", "pseudo_teacher_dice")


@pytest.fixture(params=[2, 3])
def dimensions(request):
    return request.param


@pytest.fixture
def load(make_store, run_settings, dimensions):
    """Return a function that loads the check of a run with so many labeled cases."""

    def make(batch=4, labeled=2, store=None):
        with Store(store or make_store(dimensions)) as data:
            return PseudoLabelCheck.load(data, run_settings(dimensions, labeled=labeled), batch, CPU)

    return make


def scores(training):
    """Return the columns of the check, by iteration."""
    return {r["iteration"]: tuple(r[c] for c in COLUMNS) for r in training.history.rows if COLUMNS[0] in r}


def without_scores(state):
    """Return a training's state without the check's columns, which are all that may differ."""
    rows = [{k: v for k, v in row.items() if k not in COLUMNS} for row in state["history"]["rows"]]
    return state | {"history": state["history"] | {"rows": rows}}


def strip_labels(source, target, names):
    """Copy a store, without the label maps of the cases in `names`."""
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "a") as file:
        for name in names:
            del file["cases"][name]["label"]
        order = [group for group in file.attrs["labeled_order"] if group not in names]
        file.attrs["labeled_order"] = np.array(order, dtype=h5py.string_dtype())
    return target


def test_the_samples_are_of_unlabeled_cases_and_spread_over_them(load, make_store, dimensions):
    check = load(batch=1)
    with Store(make_store(dimensions)) as store:
        # Of three slices per case the middle one; of volumes the middle, with zeros around short axes.
        expected = [
            store.label(name)[1] if dimensions == 2 else store.label(name) for name in ("train2", "train3")
        ]
    assert check.images.shape == (2, 1, *[32] * dimensions)
    for truth, original in zip(check.truth, expected, strict=True):
        if dimensions == 3:
            original = np.pad(original, [(4, 4), (6, 6), (7, 7)])
            np.testing.assert_array_equal(truth, original)
        else:
            assert truth.float().mean().item() == pytest.approx(original.mean(), abs=0.03)


def test_fewer_samples_than_a_batch_are_shown_again(load):
    check = load(batch=32, labeled=3)
    assert len(check.truth) == 64
    assert check.truth[0].equal(check.truth[1])


@pytest.mark.parametrize("labeled", [4, "all"])
def test_there_is_nothing_to_check_where_all_cases_are_labeled(load, labeled):
    assert load(labeled=labeled) is None


def test_there_is_nothing_to_check_for_a_method_without_unlabeled_images(load):
    assert load(batch=0) is None


def test_the_score_is_the_dice_of_the_labels_that_training_makes(load, run_settings, dimensions):
    torch.manual_seed(3)
    settings = run_settings(dimensions, method="m3hl", labeled_batch=4, unlabeled_batch=4)
    check, method = load(), methods.build(settings).train()
    before = [value.clone() for value in method.state_dict().values()]
    random = torch.get_rng_state()
    found = check(method)
    assert all(a.equal(b) for a, b in zip(before, method.state_dict().values(), strict=True))
    assert torch.get_rng_state().equal(random)

    torch.manual_seed(settings.seed)
    with torch.no_grad():
        labels = torch.cat([pseudo_label(method.teacher(half).logits) for half in check.images.chunk(4)])
    overlap = ((labels == 1) & (check.truth == 1)).sum().item()
    dice = 200 * overlap / ((labels == 1).sum().item() + (check.truth == 1).sum().item())
    assert found["pseudo_teacher_dice"] == pytest.approx(dice)
    # Student and teacher begin with the same weights.
    assert found["pseudo_student_dice"] == found["pseudo_teacher_dice"]
    assert 0 < dice < 100


def test_another_method_takes_the_most_likely_class(obedient):
    method, image = obedient(), torch.tensor([[[[-1.0, 2.0]]]])
    assert method.pseudo_labels(method.student, image).tolist() == [[[0, 1]]]


def test_training_is_the_same_with_and_without_the_check(
    launch, run_settings, bits, monkeypatch, tmp_path, dimensions
):
    settings = run_settings(dimensions, method="m3hl")
    checked = launch(settings, tmp_path / "with")
    assert list(scores(checked)) == [2, 4, 6]
    monkeypatch.setattr(loop.PseudoLabelCheck, "load", lambda *_: None)
    unchecked = launch(settings, tmp_path / "without")
    assert scores(unchecked) == {}
    assert without_scores(bits(checked)) == bits(unchecked)


def test_the_truth_changes_nothing_but_the_score(launch, run_settings, make_store, bits, monkeypatch, tmp_path):
    settings = run_settings(2, method="m3hl")
    first = launch(settings, tmp_path / "1")
    load = PseudoLabelCheck.load

    def with_wrong_truth(*arguments):
        check = load(*arguments)
        return dataclasses.replace(check, truth=1 - check.truth)

    monkeypatch.setattr(loop.PseudoLabelCheck, "load", with_wrong_truth)
    second = launch(settings, tmp_path / "2")
    assert scores(first) != scores(second)
    assert without_scores(bits(first)) == without_scores(bits(second))


def test_images_without_label_maps_are_trained_on_and_not_checked(
    launch, run_settings, make_store, tmp_path, dimensions
):
    store = strip_labels(make_store(dimensions), tmp_path / "own.h5", ["train2", "train3"])
    training = launch(run_settings(dimensions, method="m3hl"), tmp_path, store=store)
    assert training.facts["counts"]["unlabeled_cases"] == 2
    assert scores(training) == {}
    assert "val_student_dice" in training.history.rows[-1]


def test_of_images_with_and_without_label_maps_those_with_are_checked(load, make_store, tmp_path, dimensions):
    check = load(batch=1, store=strip_labels(make_store(dimensions), tmp_path / "own.h5", ["train3"]))
    assert check.truth[0].equal(check.truth[1]) == (dimensions == 3)
    assert check.truth.any()


def test_supervised_training_has_no_pseudo_labels(launch, run_settings, tmp_path):
    assert scores(launch(run_settings(2), tmp_path)) == {}


def test_perfect_pseudo_labels_have_a_dice_of_100(load, obedient, dimensions):
    method, check = obedient(), load()
    truths = iter(check.truth.split(4))

    def truth(network, images):
        assert isinstance(network(images), nets.Output)
        assert len(images) == 4
        return next(truths)

    method.pseudo_labels = truth
    assert check(method) == {"pseudo_student_dice": 100}
