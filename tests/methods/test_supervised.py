"""The supervised baseline: the labeled images and nothing else, as many as M³HL sees in all."""

from dataclasses import replace

import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods.parts.losses import segmentation_loss
from m3hl.training.step import step

CPU = Execution(torch.device("cpu"))


@pytest.mark.parametrize(("dimensions", "dice"), [(2, "squared"), (3, "plain")])
def test_the_loss_is_that_of_the_labeled_images_alone(dimensions, dice, make_settings, make_batch):
    run = make_settings(dimensions, method="supervised")
    method, batch = methods.build(run).eval(), make_batch(run)
    nothing = replace(batch, unlabeled_images=torch.full_like(batch.unlabeled_images, torch.nan))
    expected = segmentation_loss(method.student(batch.labeled_images).logits, batch.labels, None, dice, "mean")
    losses = method.losses(nothing)
    assert set(losses) == {"loss"}
    assert losses["loss"].item() == pytest.approx(expected.item())


def test_it_sees_as_many_images_as_m3hl(make_settings):
    method = methods.build(make_settings(2, method="supervised", pairs=6))
    assert (method.labeled_batch, method.unlabeled_batch) == (24, 0)
    assert list(method.networks()) == ["student"]


def test_the_sum_is_twice_the_mean(make_settings, make_batch):
    def loss(reduction):
        run = make_settings(2, method="supervised", reduction=reduction)
        torch.manual_seed(0)
        return methods.build(run).eval().losses(make_batch(run))["loss"].item()

    assert loss("sum") == pytest.approx(2 * loss("mean"))


def test_it_learns(make_settings, make_batch):
    run = make_settings(2, method="supervised", channels=4, learning_rate=0.1)
    method, batch = methods.build(run).train(), make_batch(run)
    batch = replace(batch, labels=(batch.labeled_images[:, 0] > 0).long())
    updates = method.updates()
    costs = [step(method, updates, batch, CPU)["loss"].item() for _ in range(30)]
    assert costs[-1] < 0.5 * costs[0]
