"""What changes while a run trains."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from m3hl.errors import UserError
from m3hl.methods.method import Method
from m3hl.training.checkpoint import Checkpoints
from m3hl.training.history import History
from m3hl.training.selection import Selection

PARTS = ("method", "optimizer", "history", "selection")
"""The parts of a training that keep a state of their own."""


@dataclass
class Training:
    """What changes while a run trains, and what a checkpoint holds.

    Attributes:
        method: student (and teacher).
        optimizer: with its momentum.
        history: the learning curve.
        selection: the weights selected so far.
        checkpoints: where all this is kept while the run trains.
        facts: which cases are used, and how many samples and parameters there are; not in checkpoints.
        iteration: iterations done.
        seconds: time spent on them, interrupted attempts included as far as their last checkpoint.
        resumed_at: iterations at which an interrupted run went on.
    """

    method: Method
    optimizer: torch.optim.Optimizer
    history: History
    selection: Selection
    checkpoints: Checkpoints
    facts: dict[str, Any]
    iteration: int = 0
    seconds: float = 0.0
    resumed_at: list[int] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        parts = {name: getattr(self, name).state_dict() for name in PARTS}
        return parts | {"iteration": self.iteration, "seconds": self.seconds, "resumed_at": self.resumed_at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.resumed_at = [*state["resumed_at"], self.iteration]

    def require_finite(self) -> None:
        """Stop a run whose newest loss or whose weights are NaN or infinite; its last good checkpoint stays.

        Raises:
            UserError: they are.
        """
        loss = self.history.rows[-1]["loss"] if self.history.rows else 0.0
        finite = bool(torch.stack([p.isfinite().all() for p in self.method.student.parameters()]).all())
        if math.isfinite(loss) and finite:
            return
        problem = "weights are not finite" if math.isfinite(loss) else f"the loss is {loss}"
        kept = f" ({self.checkpoints.last} holds the last good state)" if self.checkpoints.last.exists() else ""
        raise UserError(
            f"{problem} at iteration {self.iteration}; lower the learning rate or check the images{kept}"
        )
