"""Dice on held-out volumes during training."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from m3hl.config.run import RunSettings
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.inference.protocol import Protocol

SLICED_VOLUMES = 8
"""Volumes that are segmented together, slice by slice."""


@dataclass(frozen=True)
class Validation:
    """The volumes that a run is validated on.

    Attributes:
        cases: image and label map of each volume, on the device.
        protocol: how they are segmented: as in the final evaluation, but in 3D with a stride of half a window,
            which costs little.
        classes: number of foreground classes.
    """

    cases: list[tuple[Tensor, Tensor]]
    protocol: Protocol
    classes: int

    @classmethod
    def load(cls, store: Store, settings: RunSettings, device: torch.device) -> "Validation":
        """Read the split that selects the weights; with `selection: last`, the validation split if there is one.

        Raises:
            UserError: the split that shall select the weights is empty.
        """
        split = "test" if settings.selection == "test" else "val"
        infos = store.cases(split)
        if not infos and settings.selection != "last":
            raise UserError(
                f"{store.path}: selection: {settings.selection} needs a {split} split, and it is empty; "
                "set hold_out, or selection: last"
            )
        stride = None if settings.dimensions == 2 else tuple(n // 2 for n in settings.crop)
        arrays = [(store.image(info.name), store.label(info.name)) for info in infos]
        cases = [tuple(torch.from_numpy(array).to(device) for array in pair) for pair in arrays]
        protocol = Protocol(settings.crop, stride, settings.largest_component, store.shrink)
        return cls(cases, protocol, len(settings.classes))

    def __call__(self, networks: dict[str, nn.Module], check: Callable[[], None]) -> dict[str, float]:
        """Return the mean Dice (percent) of each network as `val_<name>_dice`; nothing without cases.

        Args:
            networks: by name.
            check: called before each few cases, so that a long validation can be interrupted.
        """
        if not self.cases:
            return {}
        return {f"val_{name}_dice": self.score(network, check) for name, network in networks.items()}

    def score(self, network: nn.Module, check: Callable[[], None]) -> float:
        """Return one network's mean Dice (percent) over cases and classes; its modes are then as before."""
        modes = [(part, part.training) for part in network.modules()]
        network.eval()
        scores = []
        # Volumes of a few slices pass a GPU together, and the one number at the end is all that is waited for.
        together = 1 if self.protocol.stride else SLICED_VOLUMES
        for start in range(0, len(self.cases), together):
            check()
            images, truths = zip(*self.cases[start : start + together], strict=True)
            predictions = self.protocol.segment(network, images, [truth.shape for truth in truths])
            scores += [mean_dice(p, t, self.classes) for p, t in zip(predictions, truths, strict=True)]
        for part, training in modes:
            part.training = training
        return torch.stack(scores).nanmean().item()


def mean_dice(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Return the mean Dice (percent) over the foreground classes that occur in either label map; NaN without any.

    Args:
        prediction, truth: uint8 label maps of the same shape.
        classes: labels 1 to this number are foreground.
    """
    overlap, size = [], []
    for c in range(1, classes + 1):
        p, t = prediction == c, truth == c
        overlap.append((p & t).sum())
        size.append(p.sum() + t.sum())
    return (200 * torch.stack(overlap).double() / torch.stack(size)).nanmean()
