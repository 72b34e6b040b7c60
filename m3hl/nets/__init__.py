"""Segmentation networks that return logits and the features that M³HL compares."""

import importlib

from torch import nn

from m3hl.nets.output import Output

__all__ = ["Output", "build"]

NETWORKS = {2: "UNet", 3: "VNet"}
"""Class by dimension, in the module of its name in small letters."""


def build(dimensions: int, classes: int, channels: int) -> nn.Module:
    """Return a U-Net for 2D or a V-Net for 3D with `classes` output channels, background included."""
    name = NETWORKS[dimensions]
    # Imported by name, so that an edit in the V-Net is none in a 2D run (m3hl.provenance.fingerprint).
    return getattr(importlib.import_module(f"{__name__}.{name.lower()}"), name)(classes, channels)
