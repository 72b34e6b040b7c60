"""One step of stochastic gradient descent, and its schedule."""

import torch
from torch import Tensor

from m3hl.compute.execution import Execution
from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.data.batches import Batch
from m3hl.methods.method import Method


def step(
    method: Method, optimizer: torch.optim.Optimizer, batch: Batch, rate: float, execution: Execution
) -> dict[str, Tensor]:
    """Do one optimiser step with learning rate `rate` and return the losses, without waiting for a GPU."""
    execution.next_step()
    for group in optimizer.param_groups:
        group["lr"] = rate
    with execution.precise():
        losses = method.losses(batch)
    optimizer.zero_grad()
    losses["loss"].backward()
    optimizer.step()
    method.after_step()
    return losses


def sgd(method: Method, options: OptimizerOptions) -> torch.optim.SGD:
    """Return the optimiser of the method's student."""
    return torch.optim.SGD(
        method.student.parameters(),
        lr=options.learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        fused=True,
    )


def learning_rate(options: OptimizerOptions, iteration: int) -> float:
    """Return the step size of `iteration` (from 0)."""
    if options.learning_rate_decay_every is None:
        return options.learning_rate
    return options.learning_rate * options.learning_rate_decay ** (iteration // options.learning_rate_decay_every)
