"""The knobs that DTC and SASSNet share: a second head that predicts signed distances."""

from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions

DIAGNOSTICS = {"weight": "weight of what is learned from unlabeled images"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class TwoHeadOptions(OptimizerOptions):
    """Supervised losses of both heads, and the ramp of what unlabeled images add."""

    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample and class."""
    distance_weight: NonNegativeFloat = 0.3
    """Weight of the squared error of the predicted distances."""
    absent: Literal["zero", "outside"] = "zero"
    """Signed distance map of a class that a sample lacks: 0 everywhere (released), which says edge, or 1, which
    says outside."""
    ramp_length: NonNegativeInt | None = 200
    """The weight of what unlabeled images add rises from e⁻⁵ of itself to all of it over so many times `ramp_step`
    iterations, however long the run is; 0: constant; null: over the whole run."""
    ramp_step: PositiveInt = 150
    """Iterations for which the ramp stands still before it moves on."""

    def beyond_logits(self) -> str:
        """Return the features from which the second head predicts."""
        return "the features of its last layer, for a second head"


PRESET: dict[int, dict[str, Any]] = {
    2: {"ramp_length": 200},
    3: {"ramp_length": 40, "learning_rate_decay_every": 2500},
}
"""By dimension: the field's protocol on ACDC, the authors' on LA."""
TRAINING: dict[int, dict[str, object]] = {2: {}, 3: {"labeled_batch": 2, "unlabeled_batch": 2, "iterations": 6000}}
"""By dimension: the data set's on slices, the authors' on volumes."""
