"""The 3D V-Net of the LA benchmark, without residual blocks: 9 448 866 parameters with two classes."""

from torch import Tensor, nn

from m3hl.nets.output import Decoded, Encoded, Output, Upsampling


class VNet(nn.Module):
    """V-Net with batch norm, ReLU, strided convolutions and additive skips.

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
        """Segment volumes (B, C, X, Y, Z); each axis must be a multiple of 16."""
        levels, first_down = self.encoder(image)
        last, head_input, logits = self.decoder(levels)
        return Output(logits, first_down, bottleneck=levels[-1], last_decoder=last, head_input=head_input)


class Encoder(nn.Module):
    """Five levels of 1, 2, 3, 3 and 3 convolutions, halved by 2³ convolutions of stride 2."""

    def __init__(self, channels: int, inputs: int = 1) -> None:
        super().__init__()
        c = channels
        self.block1 = convolutions(1, inputs, c)
        self.down1 = down(c)
        self.block2 = convolutions(2, 2 * c, 2 * c)
        self.down2 = down(2 * c)
        self.block3 = convolutions(3, 4 * c, 4 * c)
        self.down3 = down(4 * c)
        self.block4 = convolutions(3, 8 * c, 8 * c)
        self.down4 = down(8 * c)
        self.block5 = convolutions(3, 16 * c, 16 * c)
        self.dropout = nn.Dropout3d(0.5)

    def forward(self, image: Tensor) -> Encoded:
        """Return the features of each level, and those of the first down-sampling before their convolutions."""
        level1 = self.block1(image)
        first_down = self.down1(level1)
        level2 = self.block2(first_down)
        level3 = self.block3(self.down2(level2))
        level4 = self.block4(self.down3(level3))
        level5 = self.dropout(self.block5(self.down4(level4)))
        return Encoded([level1, level2, level3, level4, level5], first_down)


class Decoder(nn.Module):
    """Four up-samplings with additive skips, 3, 3, 2 and 1 convolutions, and a 1³ head."""

    def __init__(self, channels: int, classes: int, upsampling: Upsampling = "transposed") -> None:
        super().__init__()
        c = channels
        self.up5 = up(16 * c, upsampling)
        self.block6 = convolutions(3, 8 * c, 8 * c)
        self.up6 = up(8 * c, upsampling)
        self.block7 = convolutions(3, 4 * c, 4 * c)
        self.up7 = up(4 * c, upsampling)
        self.block8 = convolutions(2, 2 * c, 2 * c)
        self.up8 = up(2 * c, upsampling)
        self.block9 = convolutions(1, c, c)
        self.dropout = nn.Dropout3d(0.5)
        self.head = nn.Conv3d(c, classes, kernel_size=1)

    def forward(self, levels: list[Tensor]) -> Decoded:
        """Return the up-sampled map after the last skip addition, the features after dropout, and the logits."""
        level1, level2, level3, level4, level5 = levels
        x = self.block6(self.up5(level5) + level4)
        x = self.block7(self.up6(x) + level3)
        x = self.block8(self.up7(x) + level2)
        last = self.up8(x) + level1
        head_input = self.dropout(self.block9(last))
        return Decoded(last, head_input, self.head(head_input))


def convolutions(count: int, n_in: int, n_out: int) -> nn.Sequential:
    """Return `count` 3³ convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for index in range(count):
        layers += [nn.Conv3d(n_in if index == 0 else n_out, n_out, kernel_size=3, padding=1)]
        layers += [nn.BatchNorm3d(n_out), nn.ReLU()]
    return nn.Sequential(*layers)


def down(n_in: int) -> nn.Sequential:
    """Return a 2³ convolution of stride 2 that doubles the channels."""
    return nn.Sequential(nn.Conv3d(n_in, 2 * n_in, kernel_size=2, stride=2), nn.BatchNorm3d(2 * n_in), nn.ReLU())


def up(n_in: int, upsampling: Upsampling) -> nn.Sequential:
    """Return a transposed 2³ convolution of stride 2, or up-sampling and a 3³ one, that halves the channels."""
    if upsampling == "transposed":
        layers: list[nn.Module] = [nn.ConvTranspose3d(n_in, n_in // 2, kernel_size=2, stride=2)]
    else:
        layers = [doubled(upsampling), nn.Conv3d(n_in, n_in // 2, kernel_size=3, padding=1)]
    return nn.Sequential(*layers, nn.BatchNorm3d(n_in // 2), nn.ReLU())


def doubled(upsampling: Upsampling) -> nn.Module:
    """Return what doubles each axis by interpolation."""
    if upsampling == "nearest":
        return nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True)
