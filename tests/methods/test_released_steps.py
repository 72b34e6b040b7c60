"""Whole training steps against the released code: losses, pseudo-labels, optimiser and moving average."""

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.data.batches import Batch
from m3hl.methods.parts import copy_paste
from m3hl.methods.parts import losses as loss_functions
from m3hl.training.step import step

CPU = Execution(torch.device("cpu"))


@pytest.fixture
def recorded(monkeypatch):
    """Return a function that makes `place.name` keep its results in the list that it returns."""

    def record(place, name):
        original, results = getattr(place, name), []

        def wrapper(*args):
            results.append(original(*args))
            return results[-1]

        monkeypatch.setattr(place, name, wrapper)
        return results

    return record


def start(settings, reference):
    """Return the run's method with the reference's weights, ready to train, and its updates."""
    method = methods.build(settings)
    reference.fill(method.student, settings.dimensions, seed=reference["seed"] + 1)
    reference.fill(method.teacher, settings.dimensions, seed=reference["seed"] + 2)
    method.train()
    return method, method.updates()


def batch_of(images, labels):
    images = torch.from_numpy(images.astype(np.float32))
    half = len(images) // 2
    return Batch(images[:half], torch.from_numpy(labels), images[half:], rng=None)


def use_mask(monkeypatch, method, cells, patch):
    """Make the method use a mask of the given cells, True where M = 1."""
    mask = np.kron(cells, np.ones((1,) + (patch,) * (cells.ndim - 1), np.float32))
    monkeypatch.setattr(method, "draw_mask", lambda batch: torch.from_numpy(mask))


def close(expected):
    return pytest.approx(expected, rel=1e-4)


def about(voxels):
    # Another CPU's last digit may turn a voxel that is close to a tie.
    return pytest.approx(voxels, rel=1e-3, abs=3)


def assert_same_norm(tensors, expected, rel=1e-6):
    # Tighter than the losses: an update is a small part of the weights that it changes. Running statistics
    # change by much more, and depend on the order in which a CPU sums.
    norm = torch.cat([t.detach().double().flatten() for t in tensors]).norm().item()
    assert norm == pytest.approx(expected, rel=rel)


def running_statistics(network):
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]


def test_three_steps_on_acdc(reference, make_settings, recorded, monkeypatch):
    expected = reference["released_acdc_steps"]
    settings = make_settings(2, preset="released", crop=(64, 64), pairs=2, channels=16)
    method, updates = start(settings, reference)
    pseudo_labels = recorded(copy_paste, "pseudo_label")
    terms = {"dice": recorded(loss_functions, "dice_loss"), "ce": recorded(loss_functions, "cross_entropy")}
    for k, row in enumerate(expected["steps"]):
        random = np.random.RandomState(reference["seed"] * 77 + k)
        batch = batch_of(random.rand(8, 1, 64, 64), random.randint(0, 4, (4, 64, 64)))
        use_mask(monkeypatch, method, random.rand(2, 4, 4) < 0.5, patch=16)
        losses = {name: value.item() for name, value in step(method, updates, batch, CPU).items()}

        assert losses["loss"] == close(row["loss"])
        assert losses["low"] == close(row["low"])
        assert losses["high"] == close(row["high"])
        for name, values in terms.items():
            labeled_a, unlabeled_a, labeled_b, unlabeled_b = (v.item() for v in values)
            assert labeled_a + labeled_b + 0.5 * (unlabeled_a + unlabeled_b) == close(row[name])
            values.clear()
        for labels, counts in zip(pseudo_labels, (row["pseudo_counts_a"], row["pseudo_counts_b"]), strict=True):
            assert labels.flatten().bincount().tolist() == about(counts)
        pseudo_labels.clear()
    assert_same_norm(method.student.parameters(), expected["student_param_l2"])
    assert_same_norm(method.teacher.parameters(), expected["teacher_param_l2"])
    assert_same_norm(running_statistics(method.student), expected["student_running_l2"], rel=2e-5)
    assert_same_norm(running_statistics(method.teacher), expected["teacher_running_l2"], rel=2e-5)


def test_two_steps_on_la(reference, make_settings, recorded, monkeypatch):
    expected = reference["released_la_steps"]
    settings = make_settings(3, preset="released", crop=(48, 48, 48), channels=16)
    method, updates = start(settings, reference)
    pseudo_labels, mixed = recorded(copy_paste, "pseudo_label"), recorded(method, "mix_loss")
    for k, row in enumerate(expected["steps"]):
        random = np.random.RandomState(reference["seed"] * 78 + k)
        batch = batch_of(random.standard_normal((4, 1, 48, 48, 48)), random.randint(0, 2, (2, 48, 48, 48)))
        use_mask(monkeypatch, method, random.rand(1, 4, 4, 4) < 0.5, patch=12)
        losses = {name: value.item() for name, value in step(method, updates, batch, CPU).items()}

        assert losses["loss"] == close(row["loss"])
        assert losses["low"] == close(row["low"])
        assert losses["high"] == close(row["high"])
        assert [m.item() for m in mixed] == close([row["label_in_mask"], row["pseudo_in_mask"]])
        mixed.clear()
        voxels = [labels.sum().item() for labels in pseudo_labels]
        assert voxels == about([row["pseudo_voxels_a"], row["pseudo_voxels_b"]])
        pseudo_labels.clear()
    assert_same_norm(method.student.parameters(), expected["student_param_l2"])
    assert_same_norm(method.teacher.parameters(), expected["teacher_param_l2"])
