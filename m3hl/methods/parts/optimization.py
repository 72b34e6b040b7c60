"""Stochastic gradient descent: an update, its schedule, and its momentum."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.data.batches import Batch
from m3hl.methods.parts.schedules import polynomial, step
from m3hl.methods.update import Update


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
    # Fused SGD wants a momentum for all or for none, and a first gradient may come late; from zeros, a first step
    # is a first step.
    for parameter in parameters if options.momentum else ():
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return Update(losses, optimizer, partial(learning_rate, options))


def learning_rate(options: OptimizerOptions, iteration: int, iterations: int) -> float:
    """Return the step size of `iteration` (from 0) of so many."""
    rate = options.learning_rate
    if options.learning_rate_decay_every is not None:
        rate *= step(iteration, options.learning_rate_decay_every, options.learning_rate_decay)
    if options.learning_rate_power is not None:
        rate *= polynomial(iteration, iterations, options.learning_rate_power, lag=options.learning_rate_lag)
    return rate


def constant(options: OptimizerOptions) -> OptimizerOptions:
    """Return the options with a step size that does not change, for a stage before the schedule begins."""
    return options.model_copy(update={"learning_rate_decay_every": None, "learning_rate_power": None})


def momentum_of(updates: Iterable[Update], network: nn.Module) -> dict[str, Tensor]:
    """Return a copy on the CPU of SGD's momentum of a network's parameters, by name, of those that are trained."""
    momentum = {p: state.get("momentum_buffer") for u in updates for p, state in u.optimizer.state.items()}
    found = {name: momentum.get(p) for name, p in network.named_parameters()}
    return {name: value.cpu().clone() for name, value in found.items() if value is not None}


def give_momentum(updates: Iterable[Update], network: nn.Module, momentum: dict[str, Tensor]) -> None:
    """Let SGD go on with the momentum of a network of the same kind."""
    states = {p: state for update in updates for p, state in update.optimizer.state.items()}
    for name, parameter in network.named_parameters():
        if name in momentum:
            states[parameter]["momentum_buffer"].copy_(momentum[name])
