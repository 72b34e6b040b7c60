"""Several networks whose predictions are one."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from m3hl.nets.output import Output


class Ensemble(nn.Module):
    """The mean of the logits of several networks of the same kind.

    Args:
        members: networks; they stay what they are, and may be trained elsewhere.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, image: Tensor) -> Output:
        """Return the mean logits of an image, with the features of the first network."""
        outputs = [member(image) for member in self.members]
        return outputs[0]._replace(logits=self.combine([out.logits for out in outputs]))

    def combine(self, logits: list[Tensor]) -> Tensor:
        """Return what the members' logits make together."""
        return torch.stack(logits).mean(0)
