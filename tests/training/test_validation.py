"""Validation: the right cases, the mean Dice over cases and classes, and a network left as it was."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from m3hl import nets
from m3hl.config.datasets import describe
from m3hl.data.case import Case
from m3hl.data.shrink import shrink_case
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.training.validation import Validation, mean_dice
from tests.small_runs import study

CPU = torch.device("cpu")
A = np.array([[1, 1, 0, 0], [2, 2, 0, 0]])


def dice_of(prediction, truth):
    return mean_dice(torch.from_numpy(prediction), torch.from_numpy(truth), 3).item()


@pytest.mark.parametrize(
    ("prediction", "truth", "dice"),
    [
        (A, A, 100),
        (A * 0, A, 0),
        (A, A * 0, 0),
        (A, np.array([[1, 0, 0, 0], [2, 2, 0, 0]]), (100 * 2 / 3 + 100) / 2),
        # A class that neither has does not count; one that only the prediction has counts as 0.
        (A, np.array([[1, 1, 0, 0], [0, 0, 0, 0]]), 50),
        (np.array([[1, 1, 0, 3]]), np.array([[1, 1, 0, 0]]), 50),
    ],
)
def test_mean_dice(prediction, truth, dice):
    assert dice_of(prediction, truth) == pytest.approx(dice)


def test_without_any_structure_dice_is_not_defined():
    assert math.isnan(dice_of(A * 0, A * 0))


@pytest.fixture(params=[2, 3])
def dimensions(request):
    return request.param


@pytest.fixture
def validation(make_store, run_settings, dimensions):
    """Return a function that loads the validation of a run with the given selection."""

    def load(selection="val", **splits):
        with Store(make_store(dimensions, **splits)) as store:
            return Validation.load(store, run_settings(dimensions, selection=selection), CPU)

    return load


@pytest.mark.parametrize(("selection", "split"), [("val", "val"), ("last", "val"), ("test", "test")])
def test_the_split_that_selects_is_validated(validation, make_store, dimensions, selection, split):
    cases = validation(selection).cases
    with Store(make_store(dimensions)) as store:
        expected = [(store.image(case.name), store.label(case.name)) for case in store.cases(split)]
    assert len(cases) == len(expected)
    for (image, label), (expected_image, expected_label) in zip(cases, expected, strict=True):
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(label, expected_label)


def test_windows_overlap_by_half_in_3d(validation, dimensions):
    protocol = validation().protocol
    assert protocol.stride == (None if dimensions == 2 else (16, 16, 16))
    assert protocol.crop == (32,) * dimensions


def test_the_score_is_the_mean_over_cases(validation, dimensions):
    torch.manual_seed(0)
    network, loaded = nets.build(dimensions, 2, 2), validation()
    protocol = loaded.protocol
    network.eval()
    predictions = [protocol.segment(network, [image])[0] for image, _ in loaded.cases]
    dice = [mean_dice(p, truth, 1).item() for p, (_, truth) in zip(predictions, loaded.cases, strict=True)]
    network.train()
    assert loaded({"student": network, "teacher": network}, lambda: None) == {
        "val_student_dice": pytest.approx(np.mean(dice)),
        "val_teacher_dice": pytest.approx(np.mean(dice)),
    }
    assert 0 < np.mean(dice) < 100


def test_the_network_is_left_in_training_mode_with_its_statistics(validation, dimensions):
    network = nets.build(dimensions, 2, 2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    validation().score(network, lambda: None)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_no_cases_give_no_scores(validation, dimensions):
    assert validation("last", val=0)({"student": nets.build(dimensions, 2, 2)}, lambda: None) == {}


def test_a_shrunk_volume_is_scored_on_the_original_grid(tmp_path, run_settings):
    label = np.zeros((41, 30, 20), np.uint8)
    label[8:24, 4:20, 2:16] = 1
    cases = [
        shrink_case(Case(split, split, split, label.astype(np.float32), label, None), (2, 2, 1))
        for split in ("train", "val", "test")
    ]
    config = study(3).dataset("d").model_copy(update={"shrink": (2, 2, 1)})
    write_store(
        tmp_path / "s.h5", kind="custom", source="folder", description=describe(config), source_sha256="0" * 64,
        cases=cases, labeled_order=["train"], shrink=(2, 2, 1),
    )  # fmt: skip
    for selection in ("val", "test"):
        with Store(tmp_path / "s.h5") as store:
            loaded = Validation.load(store, run_settings(3, selection=selection), CPU)
        assert loaded.cases[0][1].shape == label.shape
        # Of blocks that the structure fills whole, nothing is lost.
        assert loaded.score(Sure(), lambda: None) == 100


class Sure(nn.Module):
    """A network that is sure of the foreground where an image is above a half."""

    def forward(self, image):
        logits = 100 * torch.cat([0.5 - image, image - 0.5], dim=1)
        return nets.Output(logits, logits, logits, logits, logits)
