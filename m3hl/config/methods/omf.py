"""Knobs of OMF, overlay mantle-free: `released` is the authors' code on volumes, and our port of it to slices."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions, require_statistics

TITLE = "OMF"
PUBLICATION, CODE_LICENSE = "Liu et al., MICCAI 2024", "none; slices are our port"
COST = 5 / 12
PRESETS = ("released",)
DIAGNOSTICS = {"mantle": "share of voxels under the mantle"}
"""What is logged and no part of the loss, and what a reader is told that it is."""


class Options(OptimizerOptions):
    """Two stages: labels and overlays of labeled images, then a frozen teacher that sees what is covered.

    The schedule of the step size is of the second stage; the first begins with the same step size.
    """

    pretraining_iterations: PositiveInt = 10_000
    """Iterations of the first stage, on labeled images alone; `iterations` of the training are the second's."""
    pretraining_decay_every: PositiveInt | None = None
    """Iterations of the first stage after which its learning rate is multiplied by `pretraining_decay`; left out,
    constant."""
    pretraining_decay: float = Field(0.1, gt=0, le=1)
    """Factor of one decay in the first stage."""
    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample and class."""
    consistency_weight: NonNegativeFloat = 1.7
    """Weight of the second stage's loss, which is all that it has."""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` for a batch that cannot be halved."""
        if labeled % 2 or unlabeled % 2:
            raise ValueError(
                f"labeled_batch {labeled} and unlabeled_batch {unlabeled} must be even: the images of one half "
                "are laid over those of the other"
            )
        require_statistics(crop, min(labeled, unlabeled) // 2)


SLICES: dict[str, Any] = {
    "learning_rate_decay_every": 5000,
    "learning_rate_decay": 0.8,
    "pretraining_decay_every": 6667,
}
"""Ours: a step size and iterations as BCP's, and a decay at the same shares of a stage as on volumes."""
VOLUMES: dict[str, Any] = {
    "learning_rate": 0.1,
    "learning_rate_decay_every": 2500,
    "learning_rate_decay": 0.8,
    "pretraining_iterations": 15_000,
    "pretraining_decay_every": 10_000,
    "dice": "plain",
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    return dict(SLICES if dimensions == 2 else VOLUMES)
