"""Segmentation networks that return logits and the features that M³HL compares."""

from m3hl.nets.output import Output
from m3hl.nets.unet import UNet
from m3hl.nets.vnet import VNet

__all__ = ["Output", "UNet", "VNet", "build"]


def build(dimensions: int, classes: int, channels: int) -> UNet | VNet:
    """Return a U-Net for 2D or a V-Net for 3D with `classes` output channels, background included."""
    return UNet(classes, channels) if dimensions == 2 else VNet(classes, channels)
