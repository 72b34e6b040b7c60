"""What changes while a run trains."""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from m3hl.errors import UserError
from m3hl.methods.checks import check_updates
from m3hl.methods.method import Method
from m3hl.methods.parts.optimization import momentum_of
from m3hl.methods.update import Update
from m3hl.training.checkpoint import Checkpoints, restore_random_state
from m3hl.training.history import History
from m3hl.training.selection import Selection


@dataclass
class Training:
    """What changes while a run trains, and what a checkpoint holds.

    Attributes:
        checkpoints: where all this is kept while the run trains.
        history: the learning curve.
        stage: number of the stage that is trained, from 0.
        method: its networks.
        updates: what its iterations do; the optimisers have their momentum.
        selections: the weights selected so far in the stage, by the name of the network.
        facts: which cases are used, and how many samples and parameters there are; not in checkpoints.
        ended: what was selected in the stages before.
        begun: iterations done when the stage began.
        iteration: iterations done.
        seconds: time spent on them, interrupted attempts included as far as their last checkpoint.
        resumed_at: iterations at which an interrupted run went on.
    """

    checkpoints: Checkpoints
    history: History = field(default_factory=History)
    stage: int = 0
    method: Method = field(init=False)
    updates: list[Update] = field(init=False)
    selections: dict[str, Selection] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    ended: list[dict[str, Any]] = field(default_factory=list)
    begun: int = 0
    iteration: int = 0
    seconds: float = 0.0
    resumed_at: list[int] = field(default_factory=list)

    @property
    def stage_iteration(self) -> int:
        """Return the iterations done of the stage."""
        return self.iteration - self.begun

    @property
    def length(self) -> int:
        """Return the iterations of the stage."""
        return self.method.length(self.method.settings)

    @property
    def selection(self) -> Selection:
        """Return the selection of the run's result."""
        return next(iter(self.selections.values()))

    def begin(self, stage: int, method: Method, rule: str) -> None:
        """Begin a stage, which takes over what was selected in the stage before."""
        before = {name: selection.selected() for name, selection in self.selections.items()}
        if before:
            ended = {"stage": self.method.stage, "iterations": self.stage_iteration}
            self.ended.append(ended | {"counts": self.facts["counts"]} | self.summary())
        self.stage, self.method, self.begun = stage, method, self.iteration
        self.updates = method.updates()
        check_updates(method, self.updates)
        if before:
            method.take_over(before, self.updates)
        self.selections = {name: Selection(rule, name) for name in method.results()}

    def offer(self, scores: dict[str, float]) -> None:
        """Offer the networks of the stage for selection, with their validation scores (percent)."""
        for name, network in self.method.results().items():
            momentum = partial(momentum_of, self.updates, network) if self.method.keeps_momentum else dict
            self.selections[name].offer(network, self.iteration, scores.get(f"val_{name}_dice"), momentum)

    def summary(self) -> dict[str, Any]:
        """Return what has been selected in the stage, as a record says it."""
        others = {name: s.summary() for name, s in self.selections.items() if s is not self.selection}
        return {"selection": self.selection.summary()} | ({"other_selections": others} if others else {})

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "stage": self.stage,
            "method": self.method.state_dict(),
            "optimizers": [update.optimizer.state_dict() for update in self.updates],
            "history": self.history.state_dict(),
            "selections": {name: selection.state_dict() for name, selection in self.selections.items()},
            "ended": self.ended,
            "begun": self.begun,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "resumed_at": self.resumed_at,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state, with the random numbers that come next."""
        self.method.load_state_dict(state["method"])
        for update, values in zip(self.updates, state["optimizers"], strict=True):
            update.optimizer.load_state_dict(values)
        self.history.load_state_dict(state["history"])
        for name, selection in self.selections.items():
            selection.load_state_dict(state["selections"][name])
        self.ended, self.begun, self.iteration = state["ended"], state["begun"], state["iteration"]
        self.seconds, self.resumed_at = state["seconds"], [*state["resumed_at"], state["iteration"]]
        restore_random_state(state["random"])

    def require_finite(self) -> None:
        """Stop a run whose newest loss or whose weights are NaN or infinite; its last good checkpoint stays.

        Raises:
            UserError: they are.
        """
        loss = self.history.rows[-1]["loss"] if self.history.rows else 0.0
        # Teachers and prototypes as well: what trains nobody can spoil who is trained.
        finite = bool(torch.stack([value.isfinite().all() for value in self.method.state_dict().values()]).all())
        if math.isfinite(loss) and finite:
            return
        problem = "weights are not finite" if math.isfinite(loss) else f"the loss is {loss}"
        kept = f" ({self.checkpoints.last} holds the last good state)" if self.checkpoints.last.exists() else ""
        raise UserError(
            f"method {self.method.settings.method}: {problem} at iteration {self.iteration}; lower the learning "
            f"rate or check the images{kept}"
        )
