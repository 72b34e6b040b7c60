"""The knobs that every method has: stochastic gradient descent with momentum."""

from math import prod
from typing import Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from m3hl.config.base import Model

DIVISOR = 16
"""Both networks halve the image four times."""


class OptimizerOptions(Model):
    """SGD and its schedule."""

    learning_rate: float = Field(0.01, gt=0)
    """Step size of SGD at the first iteration."""
    learning_rate_decay_every: PositiveInt | None = None
    """Iterations after which the learning rate is multiplied by `learning_rate_decay`; left out, constant."""
    learning_rate_decay: float = Field(0.1, gt=0, le=1)
    """Factor of one decay."""
    learning_rate_power: PositiveFloat | None = None
    """Also multiply the learning rate by (1 − t / T)^power, t iterations being done of T; left out, not."""
    learning_rate_lag: bool = False
    """Whether that takes t − 1 for t, as code does that sets the rate after a step from the old counter."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(1e-4, ge=0)
    """L2 penalty in SGD."""

    @model_validator(mode="after")
    def _lag_of_something(self) -> Self:
        if self.learning_rate_lag and self.learning_rate_power is None:
            raise ValueError("learning_rate_lag is for learning_rate_power; set that too, or leave it out")
        return self

    def beyond_logits(self) -> str:
        """Return in words what the method reads of its network besides logits, which only ours have.

        With "", for nothing, a configuration can name a network of its own.
        """
        return ""

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Raise `ValueError` where the knobs do not fit the crop (voxels along each axis) or the samples.

        A method whose passes hold fewer samples than a whole batch says so by a check of its own.
        """
        require_statistics(crop, labeled + unlabeled)


def require_streams(crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
    """Raise `ValueError` unless a batch can be mixed in two streams, each of half of either kind of samples."""
    if labeled % 2 or labeled != unlabeled:
        raise ValueError(
            f"labeled_batch {labeled} and unlabeled_batch {unlabeled} must be equal and even: each half feeds "
            "one stream"
        )
    require_statistics(crop, labeled // 2)


def require_statistics(crop: tuple[int, ...], samples: int) -> None:
    """Raise `ValueError` where so many samples in one pass leave batch norm with a single value per channel."""
    if samples * prod(n // DIVISOR for n in crop) < 2:
        raise ValueError(
            f"crop {list(crop)} with {samples} sample{'s' * (samples > 1)} in one pass leaves one value per "
            "channel at the bottleneck, and batch norm needs two; enlarge crop, labeled_batch or unlabeled_batch"
        )
