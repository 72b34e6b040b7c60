"""What a network returns, and what its encoder hands to its decoder."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Logits and named features of one forward pass; `*` stands for (H, W) or (X, Y, Z).

    Attributes:
        logits: (B, classes, *).
        first_down: output of the encoder's first down-sampling, (B, 2·C, */2).
        bottleneck: output of the bottleneck, (B, 16·C, */16).
        last_decoder: features of the last decoder stage, (B, C, *).
    """

    logits: Tensor
    first_down: Tensor
    bottleneck: Tensor
    last_decoder: Tensor


class Encoded(NamedTuple):
    """What an encoder returns; its decoder takes the levels.

    Attributes:
        levels: features of each of the five levels, finest first, (B, 2^l·C, */2^l); the last is the bottleneck.
        first_down: output of the first down-sampling, (B, 2·C, */2).
    """

    levels: list[Tensor]
    first_down: Tensor
