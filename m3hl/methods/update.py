"""One of the updates that an iteration makes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from m3hl.data.batches import Batch


@dataclass(frozen=True)
class Update:
    """One update of an iteration.

    Attributes:
        losses: scalars by name of a batch; "loss" is minimised. It is called when the updates before are done.
        optimizer: steps along the gradient of "loss".
        rate: learning rate of an iteration (from 0) of so many.
    """

    losses: Callable[[Batch], dict[str, Tensor]]
    optimizer: torch.optim.Optimizer
    rate: Callable[[int, int], float]
