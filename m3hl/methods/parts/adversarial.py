"""Virtual adversarial training (Miyato et al., TPAMI 2018): the small change of an image that matters most."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from m3hl.methods.parts.noise import unit


def direction(distance: Callable[[Tensor], Tensor], start: Tensor, probe: float) -> Tensor:
    """Return the unit direction (B, *) in which `distance` of what is added to the images grows fastest.

    One power iteration: the gradient at `probe` times the unit vector along `start`. No parameter gets a gradient.

    Args:
        distance: of the predictions of images with something (B, *) added to them.
        start: random numbers around 0.
        probe: length of the first step (ξ), of each sample's vector.
    """
    with torch.enable_grad():
        (d,) = unit([start])
        gradient = torch.autograd.grad(distance(probe * d.requires_grad_()), d)
    return unit(gradient)[0]


@contextmanager
def untracked(network: nn.Module) -> Iterator[None]:
    """Let passes use batch statistics and leave the running ones as they are.

    Putting saved values back would break the backward pass of a pass before.
    """
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
