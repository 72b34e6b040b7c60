"""Knobs of the method in `../methods/everything.py`."""

from pydantic import PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions

TITLE = "Everything"
PRESETS = ("default",)


class Options(OptimizerOptions):
    """A first stage, and what every method has."""

    warm_up: PositiveInt = 5
    """Iterations of the first stage."""


def preset(name, dimensions):
    return {"learning_rate_power": 0.9, "learning_rate_lag": True}


def training(name, dimensions):
    return {"labeled_batch": 2, "unlabeled_batch": 1}
