"""Knobs of the supervised baseline."""

from typing import Any, Literal

from m3hl.config.methods.optimizer import OptimizerOptions

TITLE = "Supervised"
COST = 1.0
PRESETS = ("default",)


class Options(OptimizerOptions):
    """Cross entropy plus Dice on labeled images alone."""

    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample."""
    reduction: Literal["sum", "mean"] = "mean"
    """Dice + CE, or (Dice + CE) / 2."""


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the baseline's settings: those of M³HL's released code, as far as they apply."""
    if dimensions == 3:
        return {"dice": "plain", "learning_rate_decay_every": 2500}
    return {}
