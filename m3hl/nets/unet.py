"""The 2D U-Net of the ACDC benchmark: 16 to 256 channels, 1 813 764 parameters with four classes."""

import torch
from torch import Tensor, nn

from m3hl.nets.dropout import Dropout
from m3hl.nets.output import Decoded, Encoded, Output, Upsampling

DROPOUT = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Dropout rate of each encoder level; the decoder has none."""


class UNet(nn.Module):
    """U-Net with batch norm, LeakyReLU and bilinear up-sampling.

    Args:
        classes: output channels, background included.
        channels: feature channels of the first level; each of the four levels below has twice as many.
        inputs: channels of an image.
    """

    def __init__(self, classes: int, channels: int = 16, inputs: int = 1) -> None:
        super().__init__()
        self.encoder = Encoder(channels, inputs)
        self.decoder = Decoder(channels, classes)

    def forward(self, image: Tensor) -> Output:
        """Segment slices (B, C, H, W); H and W must be multiples of 16."""
        levels, first_down = self.encoder(image)
        last, head_input, logits = self.decoder(levels)
        return Output(logits, first_down, bottleneck=levels[-1], last_decoder=last, head_input=head_input)


class Encoder(nn.Module):
    """Five levels of two convolutions, with max pooling between them."""

    def __init__(self, channels: int, inputs: int = 1) -> None:
        super().__init__()
        widths = widths_of_levels(channels)
        narrower = [inputs, *widths[:-1]]
        for level, (n_in, n_out, rate) in enumerate(zip(narrower, widths, DROPOUT, strict=True)):
            self.add_module(f"level{level}", TwoConvolutions(n_in, n_out, rate))
        self.pool = nn.MaxPool2d(2)

    def forward(self, image: Tensor) -> Encoded:
        """Return the features of each level; the second is what the first down-sampling gives."""
        levels = [self.level0(image)]
        for level in (self.level1, self.level2, self.level3, self.level4):
            levels.append(level(self.pool(levels[-1])))
        return Encoded(levels, first_down=levels[1])


class Decoder(nn.Module):
    """Four up-sampling stages with skip connections, and a 3×3 head."""

    def __init__(self, channels: int, classes: int, upsampling: Upsampling = "linear") -> None:
        super().__init__()
        widths = widths_of_levels(channels)
        for stage, (n_in, n_out) in enumerate(zip(widths[:0:-1], widths[-2::-1], strict=True), start=1):
            self.add_module(f"up{stage}", Up(n_in, n_out, upsampling))
        self.head = nn.Conv2d(channels, classes, kernel_size=3, padding=1)

    def forward(self, levels: list[Tensor]) -> Decoded:
        """Return the features of the last stage, which the head reads, and the logits."""
        features = levels[-1]
        for up, skip in zip((self.up1, self.up2, self.up3, self.up4), levels[-2::-1], strict=True):
            features = up(features, skip)
        return Decoded(features, features, self.head(features))


class TwoConvolutions(nn.Module):
    """Two 3×3 convolutions, each with batch norm and LeakyReLU; dropout between them."""

    def __init__(self, n_in: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.dropout = Dropout(dropout)
        self.conv2 = nn.Conv2d(n_out, n_out, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.activate = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same height and width."""
        x = self.dropout(self.activate(self.norm1(self.conv1(x))))
        return self.activate(self.norm2(self.conv2(x)))


class Up(TwoConvolutions):
    """A 1×1 convolution and up-sampling, or a transposed one; concatenation with the skip, two convolutions."""

    def __init__(self, n_in: int, n_out: int, upsampling: Upsampling) -> None:
        super().__init__(2 * n_out, n_out, dropout=0.0)
        if upsampling == "transposed":
            self.reduce, self.upsample = nn.ConvTranspose2d(n_in, n_out, kernel_size=2, stride=2), nn.Identity()
        else:
            self.reduce, self.upsample = nn.Conv2d(n_in, n_out, kernel_size=1), doubled(upsampling)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return features of the skip's height and width."""
        return super().forward(torch.cat([skip, self.upsample(self.reduce(x))], dim=1))


def doubled(upsampling: Upsampling) -> nn.Module:
    """Return what doubles height and width by interpolation."""
    if upsampling == "nearest":
        return nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)


def widths_of_levels(channels: int) -> list[int]:
    """Return the feature channels of the five levels."""
    return [channels * 2**level for level in range(5)]
