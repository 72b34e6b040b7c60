"""Which iteration's weights are kept as the result of a run, or of one of its stages."""

from collections.abc import Callable
from math import isnan
from typing import Any

from torch import Tensor, nn

from m3hl.methods.method import Selected


class Selection:
    """The best weights so far, by validation Dice, or those of the last iteration.

    Args:
        rule: "val" or "test" (best Dice on that split), or "last".
        network: name of the method's network whose weights these are.
    """

    def __init__(self, rule: str, network: str) -> None:
        self.rule, self.network = rule, network
        self.iteration: int | None = None
        self.dice: float | None = None
        self.weights: dict[str, Tensor] = {}
        self.momentum: dict[str, Tensor] = {}

    def offer(
        self,
        network: nn.Module,
        iteration: int,
        dice: float | None,
        momentum: Callable[[], dict[str, Tensor]] = dict,
    ) -> None:
        """Take the network's weights if they are better, or if the rule is the last iteration.

        Args:
            network: copied when taken.
            iteration: iterations done.
            dice: Dice of the split that is validated (percent); None where there is no such split, NaN where no
                structure is there or predicted.
            momentum: returns a copy of the optimiser's, which is taken with the weights.
        """
        dice = None if dice is None or isnan(dice) else dice
        better = dice is not None and (self.dice is None or dice > self.dice)
        if self.rule == "last" or self.iteration is None or better:
            self.iteration, self.dice = iteration, dice
            self.weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            self.momentum = momentum()

    def selected(self) -> Selected:
        """Return what a next stage can take over."""
        return Selected(self.weights, self.momentum)

    def summary(self) -> dict[str, Any]:
        """Return network, rule, iteration and Dice (percent)."""
        return {"network": self.network, "rule": self.rule, "iteration": self.iteration, "dice": self.dice}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return vars(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        vars(self).update(state)
