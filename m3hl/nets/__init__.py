"""Segmentation networks that return logits and the features that methods compare."""

import importlib
from types import ModuleType

from torch import nn

from m3hl.nets.ensemble import Ensemble
from m3hl.nets.output import LogitsAlone, Output, Upsampling

__all__ = ["Ensemble", "LogitsAlone", "Output", "build", "build_decoder"]

NETWORKS = {2: "UNet", 3: "VNet"}
"""Class by dimension, in the module of its name in small letters."""


def build(dimensions: int, classes: int, channels: int, members: int = 1, *, inputs: int = 1) -> nn.Module:
    """Return a U-Net for 2D or a V-Net for 3D with `classes` output channels, background included.

    Args:
        dimensions: 2 or 3.
        classes: output channels.
        channels: feature channels of the first level.
        members: with more than one, the ensemble of so many networks.
        inputs: channels of an image.
    """
    network = getattr(module_of(dimensions), NETWORKS[dimensions])
    if members == 1:
        return network(classes, channels, inputs)
    return Ensemble(network(classes, channels, inputs) for _ in range(members))


def build_decoder(dimensions: int, classes: int, channels: int, upsampling: Upsampling) -> nn.Module:
    """Return a further decoder for the encoder of a network of the same kind, with another way to up-sample."""
    return module_of(dimensions).Decoder(channels, classes, upsampling)


def module_of(dimensions: int) -> ModuleType:
    """Return the module of the network for 2D or 3D."""
    # Imported by name, so that an edit in the V-Net is none in a 2D run (m3hl.provenance.fingerprint).
    return importlib.import_module(f"{__name__}.{NETWORKS[dimensions].lower()}")
