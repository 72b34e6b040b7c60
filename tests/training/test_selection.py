"""Which weights are kept: the first of the best, or the last."""

import json
from math import nan

import pytest
import torch
from torch import nn

from m3hl.training.selection import Selection


@pytest.fixture
def network():
    return nn.Linear(1, 1, bias=False)


def offer_all(selection, network, dice):
    """Offer iterations 1, 2, …, in which the network's weight is the iteration."""
    for iteration, value in enumerate(dice, start=1):
        nn.init.constant_(network.weight, iteration)
        selection.offer(network, iteration, value)


@pytest.mark.parametrize(
    ("rule", "dice", "iteration"),
    [
        ("val", [10.0, 30.0, 20.0], 2),
        ("val", [10.0, 30.0, 30.0], 2),
        ("val", [0.0, 0.0], 1),
        ("val", [nan, 10.0, nan, 5.0], 2),
        ("val", [20.0, nan], 1),
        ("test", [5.0, 4.0], 1),
        ("last", [10.0, 30.0, 20.0], 3),
        ("last", [None, None], 2),
    ],
)
def test_the_first_of_the_best_or_the_last_is_kept(network, rule, dice, iteration):
    selection = Selection(rule, "student")
    offer_all(selection, network, dice)
    summary = {"network": "student", "rule": rule, "iteration": iteration, "dice": dice[iteration - 1]}
    assert selection.summary() == summary
    assert selection.weights["weight"].item() == iteration


def test_without_a_structure_anywhere_the_first_weights_are_kept_and_no_dice_is_named(network):
    selection = Selection("val", "student")
    offer_all(selection, network, [nan, nan])
    assert json.dumps(selection.summary(), allow_nan=False)
    assert (selection.iteration, selection.dice) == (1, None)


def test_kept_weights_do_not_change_with_the_network(network):
    selection = Selection("val", "student")
    offer_all(selection, network, [1.0])
    nn.init.constant_(network.weight, 9)
    assert selection.weights["weight"].item() == 1


def test_a_resumed_selection_goes_on(network):
    first, second = (Selection("val", "student") for _ in range(2))
    offer_all(first, network, [10.0, 30.0])
    second.load_state_dict(first.state_dict())
    second.offer(network, 3, 20.0)
    assert second.summary() == {"network": "student", "rule": "val", "iteration": 2, "dice": 30.0}
    assert torch.equal(second.weights["weight"], first.weights["weight"])
