"""What a network returns, and what its encoder hands to its decoder."""

from typing import Literal, NamedTuple

from torch import Tensor

Upsampling = Literal["transposed", "linear", "nearest"]
"""How a decoder doubles its features: by a transposed convolution, or by interpolation beside a convolution."""


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


class LogitsAlone(NamedTuple):
    """What a network of a user's own gives of a forward pass: it has no features that we know by name.

    Attributes:
        logits: (B, classes, *).
    """

    logits: Tensor


class Encoded(NamedTuple):
    """What an encoder returns; its decoder takes the levels.

    Attributes:
        levels: features of each of the five levels, finest first, (B, 2^l·C, */2^l); the last is the bottleneck.
        first_down: output of the first down-sampling, (B, 2·C, */2).
    """

    levels: list[Tensor]
    first_down: Tensor


class Decoded(NamedTuple):
    """What a decoder returns.

    Attributes:
        last: its last features, see `Output.last_decoder`.
        head_input: what the head reads, see `Output.head_input`.
        logits: (B, classes, *).
    """

    last: Tensor
    head_input: Tensor
    logits: Tensor
