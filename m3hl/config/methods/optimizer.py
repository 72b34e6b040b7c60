"""The knobs that every method has: stochastic gradient descent with momentum."""

from pydantic import Field, PositiveInt

from m3hl.config.base import Model


class OptimizerOptions(Model):
    """SGD and its schedule."""

    learning_rate: float = Field(0.01, gt=0)
    """Step size of SGD at the first iteration."""
    learning_rate_decay_every: PositiveInt | None = None
    """Iterations after which the learning rate is multiplied by `learning_rate_decay`; left out, constant."""
    learning_rate_decay: float = Field(0.1, gt=0, le=1)
    """Factor of one decay."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(1e-4, ge=0)
    """L2 penalty in SGD."""

    def check(self, crop: tuple[int, ...]) -> None:
        """Raise `ValueError` where the knobs do not fit a crop of so many voxels along each axis."""
