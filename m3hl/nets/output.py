"""What a network returns."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Logits and named features of one forward pass; `*` stands for (H, W) or (X, Y, Z).

    Attributes:
        logits: (B, classes, *).
        first_down: output of the encoder's first down-sampling, (B, 2·C, */2).
        bottleneck: output of the bottleneck, (B, 16·C, */16).
        last_decoder: features of the last decoder stage, (B, C, *).
        head_input: what the head reads, dropout included, (B, C, *); in the U-Net the same as `last_decoder`.
    """

    logits: Tensor
    first_down: Tensor
    bottleneck: Tensor
    last_decoder: Tensor
    head_input: Tensor
