"""Knobs of M³HL and its two presets: `paper` (as printed) and `released` (what the authors' code does).

Where the paper is silent, `paper` does what the released code does; of a schedule it names none, so there is none.
"""

from fractions import Fraction
from math import floor, prod
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from m3hl.config.methods.optimizer import OptimizerOptions, require_streams

TITLE = "M³HL"
PUBLICATION, CODE_LICENSE = "Liu et al., MICCAI 2025", "not known"
COST = 2 / 3
PRESETS = ("released", "paper")
PROCESSES = 2
"""Each can take one of the two streams."""

Side = Literal["labeled", "unlabeled"]


class Options(OptimizerOptions):
    """Every choice that the paper or the released code makes, one key each."""

    mask_patch_size: PositiveInt | tuple[PositiveInt, ...] | None = None
    """Voxels of one mask cell, for all axes or for each (Sec. 2.2); left out, a quarter of the crop. The crop
    must be a multiple of it."""
    mask_ratio: float = Field(0.5, ge=0, le=1)
    """Share of the cells that are masked (M = 0), Sec. 2.2."""
    mix: bool = True
    """Whether the mask is used. If not, it stays all ones: the LA script as released, and a control."""
    mask_keeps: tuple[Side, Side] = ("unlabeled", "unlabeled")
    """Which image is seen where M = 1, in stream a and in stream b (Eq. 2)."""
    labeled_weight: NonNegativeFloat = 0.5
    """Weight of the labeled region in Eq. 3."""
    unlabeled_weight: NonNegativeFloat = 1.0
    """Weight of the unlabeled region in Eq. 3."""
    reduction: Literal["sum", "mean"] = "sum"
    """Dice + CE, or (Dice + CE) / 2 (Eq. 3)."""
    dice: Literal["squared", "plain"] = "squared"
    """Denominator of the Dice loss: Σp²+Σy² over the batch, or Σp+Σy per sample and class."""
    low_features: Literal["first_down", "last_decoder"] = "first_down"
    """Which features L_low compares (Eq. 4)."""
    high_features: Literal["bottleneck", "pooled_bottleneck"] = "bottleneck"
    """Which features L_high compares (Eq. 5); pooled: max over 3³ with stride 2, V-Net only."""
    consistency_weight: NonNegativeFloat = 0.5
    """λ of Eq. 1."""
    supervised_loss: bool = False
    """Add the loss of the labeled images as they are (Table 2's L_sup)."""
    mix_loss: bool = True
    """Use L_mix (Eq. 3)."""
    consistency_loss: bool = True
    """Use L_low + L_high (Eq. 4, 5)."""
    ema_decay: float = Field(0.99, ge=0, le=1)
    """Teacher ← decay · teacher + (1 − decay) · student."""
    ema_buffers: bool = True
    """Whether the batch-norm running statistics follow the student too."""
    forward: Literal["separate", "joint"] = "separate"
    """Whether the two streams pass the networks one after the other (batch statistics of half a batch each)
    or as one batch."""

    def mask_patch(self, crop: tuple[int, ...]) -> tuple[int, ...]:
        """Return the voxels of one mask cell along each axis of `crop`."""
        size = self.mask_patch_size
        if size is None:
            return tuple(n // 4 for n in crop)
        return (size,) * len(crop) if isinstance(size, int) else size

    def beyond_logits(self) -> str:
        """Return the features that L_low and L_high compare, where these are on."""
        return "named features (low_features, high_features)" if self.consistency_loss else ""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` for a crop or batch that cannot be halved, masked or pooled, or nothing to learn."""
        require_streams(crop, labeled, unlabeled)
        if not (self.mix_loss or self.consistency_loss or self.supervised_loss):
            raise ValueError("mix_loss, consistency_loss and supervised_loss are all off; turn one on")
        patch = self.mask_patch(crop)
        if len(patch) != len(crop) or any(n % p for n, p in zip(crop, patch, strict=True)):
            raise ValueError(f"crop {list(crop)} must be a multiple of mask_patch_size {list(patch)} on each axis")
        cells = prod(n // p for n, p in zip(crop, patch, strict=True))
        masked = masked_cells(self.mask_ratio, cells) if self.mix else 0
        seen = {"unlabeled": masked, "labeled": cells - masked}
        if self.mix_loss and not self.supervised_loss and not any(seen[keeps] for keeps in self.mask_keeps):
            raise ValueError(
                f"with {masked} of {cells} cells masked and mask_keeps {list(self.mask_keeps)} no labeled voxel "
                "is ever seen; change mask_ratio, mask_keeps or mix"
            )
        if self.high_features == "pooled_bottleneck" and (len(crop) == 2 or min(crop) < POOLED_MINIMUM):
            raise ValueError(
                f"high_features: pooled_bottleneck needs a 3D crop of at least {POOLED_MINIMUM} voxels on each "
                f"axis, not {list(crop)}; set high_features: bottleneck"
            )


def masked_cells(ratio: float, cells: int) -> int:
    """Return ⌊ratio · cells⌋ for the ratio as it is written: 0.7 of 90 cells are 63, though 0.7 * 90 < 63."""
    return floor(Fraction(str(ratio)) * cells)


POOLED_MINIMUM = 48
"""Voxels along an axis: the bottleneck has a sixteenth of them, and pooling takes three."""


PAPER: dict[str, Any] = {
    "learning_rate": 1e-3,
    "learning_rate_decay_every": None,
    "mask_keeps": ("unlabeled", "unlabeled"),
    "labeled_weight": 0.5,
    "unlabeled_weight": 1.0,
    "reduction": "sum",
    "low_features": "first_down",
    "high_features": "bottleneck",
}
RELEASED: dict[str, Any] = {
    "learning_rate": 1e-2,
    "labeled_weight": 1.0,
    "unlabeled_weight": 0.5,
    "reduction": "mean",
    "low_features": "last_decoder",
}
SILENT: dict[int, dict[str, Any]] = {
    2: {"dice": "squared", "ema_buffers": True},
    3: {"dice": "plain", "ema_buffers": False},
}
"""What the paper does not say, by dimension: the released code decides, for both presets."""
RELEASED_ONLY: dict[int, dict[str, Any]] = {
    2: {"mask_keeps": ("unlabeled", "labeled"), "high_features": "bottleneck"},
    3: {
        "mask_keeps": ("labeled", "unlabeled"),
        "high_features": "pooled_bottleneck",
        "learning_rate_decay_every": 2500,
    },
}


def preset(name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that preset `name` sets for 2D or 3D data.

    On 3D data `released` mixes by the mask, as its authors meant to; `mix: false` is the code as it stands.
    """
    if name == "paper":
        return SILENT[dimensions] | PAPER
    return SILENT[dimensions] | RELEASED | RELEASED_ONLY[dimensions]
