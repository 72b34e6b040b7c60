"""T-VAT: the small change of features that moves the teachers' prediction most (PS-MT's virtual adversary)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from m3hl.methods.parts.noise import uniform, unit

Decode = Callable[[list[Tensor]], Tensor]
"""From the features of all levels to logits (B, C, *)."""


def worst_perturbation(
    decode: Decode, levels: Sequence[Tensor], generator: torch.Generator, *, probe: float, size: float
) -> list[Tensor]:
    """Return r = ε g / ‖g‖ for each sample, with g = ∂K(f + ξ d) / ∂d at a random d of length 1, d ~ U(−½, ½).

    Norms are of a sample's features of all levels together. No gradient flows to f or to parameters.

    Args:
        decode: of the teachers together, in evaluation mode.
        levels: f, the features of each level, (B, channels, *).
        generator: on their device.
        probe: ξ. Where it is too small, f + ξ d is f in single precision, and g is rounding noise.
        size: ε.
    """
    levels = [level.detach() for level in levels]
    direction = unit([uniform(level, generator).sub_(0.5) for level in levels])
    with torch.no_grad():
        expected = decode(levels).log_softmax(1)
    with torch.enable_grad():
        for part in direction:
            part.requires_grad_()
        moved = [level + probe * part for level, part in zip(levels, direction, strict=True)]
        gradient = torch.autograd.grad(divergence(expected, decode(moved)), direction)
    return [size * part for part in unit(gradient)]


def divergence(expected: Tensor, logits: Tensor) -> Tensor:
    """Return K = KL(P ‖ Q), summed over classes and voxels and averaged over samples.

    Args:
        expected: ln P, (B, C, *).
        logits: of Q, (B, C, *).
    """
    return (expected.exp() * (expected - logits.log_softmax(1))).sum() / len(logits)
