"""What one iteration does: every update of a method, and what follows them."""

from collections.abc import Iterable

from torch import Tensor

from m3hl.compute.execution import Execution
from m3hl.data.batches import Batch
from m3hl.methods.checks import check_losses
from m3hl.methods.method import Method
from m3hl.methods.update import Update


def step(method: Method, updates: Iterable[Update], batch: Batch, execution: Execution) -> dict[str, Tensor]:
    """Do one iteration and return its losses, without waiting for a GPU; "loss" is the first update's."""
    execution.next_step()
    logged: dict[str, Tensor] = {}
    for update in updates:
        for group in update.optimizer.param_groups:
            group["lr"] = update.rate(batch.iteration, batch.iterations)
        with execution.precise():
            losses = update.losses(batch)
        check_losses(method, losses)
        update.optimizer.zero_grad()
        losses["loss"].backward()
        update.optimizer.step()
        logged = losses | logged
    method.after_step(batch)
    # Modes are in no checkpoint, so none must outlast an iteration.
    method.train()
    return logged
