"""SASSNet's discriminator: were these distances predicted of a labeled image?"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

WIDTHS = (64, 128, 256, 512)
DIMENSIONS = {2: (nn.Conv2d, nn.Dropout2d), 3: (nn.Conv3d, nn.Dropout3d)}


class Discriminator(nn.Module):
    """Four convolutions of 4 voxels and stride 2 on a map and its image, a mean over the rest, two logits.

    As in the released 3D code, but that it takes any crop (the mean there is a pool of 7×7×5, all that is left of
    112×112×80); in 2D ours, the same with slices.

    Args:
        dimensions: 2 or 3.
        maps: channels of the map, one per foreground class.
        inputs: channels of the image.
    """

    def __init__(self, dimensions: int, maps: int, inputs: int = 1) -> None:
        super().__init__()
        convolution, dropout = DIMENSIONS[dimensions]
        first = WIDTHS[0]
        self.map_convolution, self.image_convolution = (
            convolution(channels, first, kernel_size=4, stride=2, padding=1) for channels in (maps, inputs)
        )
        self.convolutions = nn.ModuleList(
            convolution(n_in, n_out, kernel_size=4, stride=2, padding=1) for n_in, n_out in pairwise(WIDTHS)
        )
        self.dropout = dropout(0.5)
        self.classifier = nn.Linear(WIDTHS[-1], 2)

    def forward(self, maps: Tensor, images: Tensor) -> Tensor:
        """Return the logits (B, 2) of maps (B, K, *) and images (B, C, *): of class 1, "labeled", the second."""
        x = leaky_relu(self.map_convolution(maps) + self.image_convolution(images), 0.2)
        for convolution in self.convolutions:
            # Not after the last one.
            x = leaky_relu(convolution(self.dropout(x)), 0.2)
        return self.classifier(x.flatten(2).mean(2))
