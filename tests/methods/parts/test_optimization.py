"""Updates: what SGD trains, with which step size, and momentum that goes from one network to another."""

import torch
from torch import nn

from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.methods.parts.optimization import give_momentum, learning_rate, momentum_of, sgd_update


def losses(_):
    return {}


def stepped(update, modules, times=1):
    """Do steps along the gradient of the sum of all parameters."""
    for _ in range(times):
        update.optimizer.zero_grad()
        sum(p.sum() for module in modules for p in module.parameters()).backward()
        update.optimizer.step()


def test_all_that_is_trained_is_trained_and_nothing_else():
    network, head, other = (nn.Linear(2, 2) for _ in range(3))
    before = other.weight.clone(), head.weight.clone()
    update = sgd_update(losses, [network, head], OptimizerOptions(learning_rate=0.5, momentum=0, weight_decay=0))
    stepped(update, [network, head, other])
    assert torch.equal(other.weight, before[0])
    torch.testing.assert_close(head.weight, before[1] - 0.5)


def test_the_factors_of_a_schedule_are_multiplied():
    options = OptimizerOptions(learning_rate=2.0, learning_rate_decay_every=5, learning_rate_power=2.0)
    assert learning_rate(options, 5, 10) == 2.0 * 0.1 * 0.25
    assert sgd_update(losses, [nn.Linear(1, 1)], options).rate(5, 10) == learning_rate(options, 5, 10)


def test_sgd_goes_on_with_the_momentum_of_another_network():
    options = OptimizerOptions(learning_rate=1.0, momentum=0.9, weight_decay=0)
    first, second, head = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    before = sgd_update(losses, [first], options)
    stepped(before, [first], times=3)
    after = sgd_update(losses, [second, head], options)
    give_momentum(after.optimizer, second, momentum_of(before.optimizer, first))
    weights = second.weight.clone(), head.weight.clone()
    stepped(after, [second, head])
    # 1 + 0.9 + 0.81 after three steps of gradient 1; the head begins from rest.
    torch.testing.assert_close(second.weight, weights[0] - (0.9 * 2.71 + 1))
    torch.testing.assert_close(head.weight, weights[1] - 1)


def test_momentum_is_a_copy():
    options = OptimizerOptions(learning_rate=1.0, momentum=0.9, weight_decay=0)
    network = nn.Linear(2, 2)
    update = sgd_update(losses, [network], options)
    assert momentum_of(update.optimizer, network) == {}
    stepped(update, [network])
    kept = momentum_of(update.optimizer, network)
    stepped(update, [network])
    assert set(kept) == {"weight", "bias"}
    assert torch.equal(kept["bias"], torch.ones(2))
