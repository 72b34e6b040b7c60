"""The updates that an iteration makes, and stochastic gradient descent as one of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.data.batches import Batch
from m3hl.methods.parts.schedules import polynomial, step


@dataclass(frozen=True)
class Update:
    """One update of an iteration.

    Attributes:
        losses: scalars by name of a batch; "loss" is minimised. It is called when the updates before are done.
        optimizer: steps along the gradient of "loss".
        rate: learning rate of an iteration (from 0) of so many.
    """

    losses: Callable[[Batch], dict[str, Tensor]]
    optimizer: torch.optim.Optimizer
    rate: Callable[[int, int], float]


def sgd_update(
    losses: Callable[[Batch], dict[str, Tensor]], trained: Iterable[nn.Module], options: OptimizerOptions
) -> Update:
    """Return an update by SGD of all parameters of some modules, with a run's step size and schedule."""
    parameters = [parameter for module in trained for parameter in module.parameters()]
    optimizer = torch.optim.SGD(
        parameters,
        lr=options.learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        fused=True,
    )
    return Update(losses, optimizer, partial(learning_rate, options))


def learning_rate(options: OptimizerOptions, iteration: int, iterations: int) -> float:
    """Return the step size of `iteration` (from 0) of so many."""
    rate = options.learning_rate
    if options.learning_rate_decay_every is not None:
        rate *= step(iteration, options.learning_rate_decay_every, options.learning_rate_decay)
    if options.learning_rate_power is not None:
        rate *= polynomial(iteration, iterations, options.learning_rate_power, lag=options.learning_rate_lag)
    return rate


def momentum_of(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """Return a copy on the CPU of SGD's momentum of a network's parameters, by name."""
    found = {name: optimizer.state[p].get("momentum_buffer") for name, p in network.named_parameters()}
    return {name: momentum.cpu().clone() for name, momentum in found.items() if momentum is not None}


def give_momentum(optimizer: torch.optim.Optimizer, network: nn.Module, momentum: dict[str, Tensor]) -> None:
    """Let SGD go on with the momentum of a network of the same kind; all else that it trains begins with none."""
    # Fused SGD wants all or nothing, and a first step from zeros is a first step.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
    for name, parameter in network.named_parameters():
        if name in momentum:
            optimizer.state[parameter]["momentum_buffer"].copy_(momentum[name])
