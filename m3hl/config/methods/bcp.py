"""Knobs of BCP, bidirectional copy-paste: `released` is the authors' code on slices and on volumes."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions, require_streams

TITLE = "BCP"
PUBLICATION, CODE_LICENSE = "Bai et al., CVPR 2023", "MIT"
COST = 2 / 3
PRESETS = ("released",)

Side = Literal["labeled", "unlabeled"]


class Options(OptimizerOptions):
    """Two stages: labeled images pasted into each other, then labeled and unlabeled ones.

    The schedule of the step size is of the second stage; in the first it stays as it begins.
    """

    pretraining_iterations: PositiveInt = 10_000
    """Iterations of the first stage, on labeled images alone; `iterations` of the training are the second's."""
    pretraining_loss: Literal["regions", "whole"] = "regions"
    """Loss of the first stage: of either side of the box by itself, and their sum; or of the mixed label map."""
    hand_over_momentum: bool = True
    """Whether the second stage goes on with SGD's momentum of the selected iteration of the first."""
    mask_keeps: tuple[Side, Side] = ("unlabeled", "labeled")
    """Which image is seen outside of the box, in stream a and in stream b of the second stage."""
    labeled_weight: NonNegativeFloat = 1.0
    """Weight of the labeled side's loss in the second stage."""
    unlabeled_weight: NonNegativeFloat = 0.5
    """Weight of the pseudo-labeled side's loss in the second stage."""
    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample and class."""
    reduction: Literal["sum", "mean"] = "mean"
    """Dice + CE, or (Dice + CE) / 2."""
    background_dice: Literal["region", "whole_image"] = "region"
    """Where the Dice loss of a side looks at the background: on that side, or on the whole image, as the code did
    that made the published numbers. All other classes are looked at on that side."""
    ema_decay: float = Field(0.99, ge=0, le=1)
    """Teacher ← decay · teacher + (1 − decay) · student."""
    ema_buffers: bool = True
    """Whether the batch-norm running statistics follow the student too."""

    forward: Literal["separate", "joint"] = "separate"
    """Whether the second stage's streams pass the networks one after the other (batch statistics of half a batch
    each) or as one batch."""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` for a crop or a batch that cannot be halved."""
        require_streams(crop, labeled, unlabeled)


VOLUMES: dict[str, Any] = {
    "learning_rate_decay_every": 2500,
    "pretraining_iterations": 2000,
    "pretraining_loss": "whole",
    "hand_over_momentum": False,
    "mask_keeps": ("labeled", "unlabeled"),
    "dice": "plain",
    "ema_buffers": False,
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data."""
    return dict(VOLUMES) if dimensions == 3 else {}
