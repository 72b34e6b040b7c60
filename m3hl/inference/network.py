"""The network of a run: a U-Net or V-Net, or one of a user's own, which gives logits alone."""

import copy
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from m3hl import nets
from m3hl.config import networks
from m3hl.config.run import RunSettings
from m3hl.errors import UserError


class OwnNetwork(nn.Module):
    """A network of a user's own, as the loop calls its networks.

    Args:
        network: returns logits (B, C, *) of images (B, I, *).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> nets.LogitsAlone:
        """Return the logits of images (B, I, *)."""
        return nets.LogitsAlone(self.network(image))


def new_network(settings: RunSettings, members: int = 1) -> nn.Module:
    """Return a network of a run with random weights, or an ensemble of so many.

    Raises:
        UserError: a network of a user's own cannot be made.
    """
    if settings.network is None:
        classes = len(settings.classes) + 1
        return nets.build(settings.dimensions, classes, settings.channels, members, inputs=settings.inputs)
    if members == 1:
        return OwnNetwork(own(settings))
    return nets.Ensemble(OwnNetwork(own(settings)) for _ in range(members))


def own(settings: RunSettings) -> nn.Module:
    """Return the network that a run names, new."""
    kind = networks.load(settings.network)
    if not issubclass(kind, nn.Module):
        raise mistake(settings, f"{kind.__name__} is no torch.nn.Module; inherit from it")
    with networks.answerable(settings.network):
        return kind(
            spatial_dims=settings.dimensions, in_channels=settings.inputs, out_channels=len(settings.classes) + 1
        )


def try_network(settings: RunSettings, device: torch.device) -> None:
    """Raise `UserError` unless a network of a user's own can be trained and saved, and gives logits of the crop.

    Two images are passed forth and back through a network that is thrown away; random numbers are as before.
    """
    if settings.network is None:
        return
    random = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with random, networks.answerable(settings.network):
        network = own(settings)
        if any(not isinstance(value, Tensor) or is_lazy(value) for value in network.state_dict().values()):
            raise mistake(settings, "its state_dict() must hold tensors of known shapes: no lazy layers")
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise mistake(settings, "it has no parameters that can be trained; assign its layers to self")
        network.to(device)
        images = torch.randn(2, settings.inputs, *settings.crop, device=device)
        # Teachers are copies of students.
        network = copy.deepcopy(network)
        logits = network.train()(images)
        check_logits(settings, logits, training=True)
        with torch.no_grad():
            check_logits(settings, network.eval()(images), training=False)
        if not logits.requires_grad:
            raise mistake(settings, "its logits do not depend on its parameters; are they detached?")
        logits.sum().backward()


def check_logits(settings: RunSettings, logits: object, training: bool) -> None:
    """Raise `UserError` unless something is finite logits of two images of a run's crop."""
    shape, seen = ((2, channels, *settings.crop) for channels in (len(settings.classes) + 1, settings.inputs))
    mode = "train" if training else "eval"
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        found = f"{logits.dtype}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise mistake(settings, f"in {mode}() it must return one tensor of logits, and returns {found}")
    if tuple(logits.shape) != shape:
        raise mistake(
            settings,
            f"in {mode}() it must return logits {shape} of images {seen}, and returns {tuple(logits.shape)}",
        )
    if bad := logits.numel() - int(logits.isfinite().sum()):
        raise mistake(settings, f"in {mode}() {bad} of {prod(shape)} logits of random images are not finite")


def mistake(settings: RunSettings, problem: str) -> UserError:
    """Return the error of a network."""
    return UserError(f"network {settings.network}: {problem}")
