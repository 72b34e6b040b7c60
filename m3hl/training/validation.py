"""Dice on held-out volumes during training."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from m3hl.config.run import RunSettings
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.evaluation.inference import Protocol


@dataclass(frozen=True)
class Validation:
    """The volumes that a run is validated on.

    Attributes:
        cases: image and label of each volume.
        protocol: how they are segmented: as in the final evaluation, but in 3D with a stride of half a window,
            which costs little.
        device: where.
    """

    cases: list[tuple[np.ndarray, np.ndarray]]
    protocol: Protocol
    device: torch.device

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
        cases = [(store.image(info.name), store.label(info.name)) for info in infos]
        return cls(cases, Protocol(settings.crop, stride, settings.largest_component), device)

    def __call__(self, networks: dict[str, nn.Module], check: Callable[[], None]) -> dict[str, float]:
        """Return the mean Dice (percent) of each network as `val_<name>_dice`; nothing without cases.

        Args:
            networks: by name.
            check: called before each case, so that a long validation can be interrupted.
        """
        if not self.cases:
            return {}
        return {f"val_{name}_dice": self.score(network, check) for name, network in networks.items()}

    def score(self, network: nn.Module, check: Callable[[], None]) -> float:
        """Return one network's mean Dice (percent) over cases and classes; it is put back in training mode."""
        network.eval()
        scores = []
        for image, truth in self.cases:
            check()
            scores.append(mean_dice(self.protocol.segment(network, image, self.device), truth))
        network.train()
        return float(np.nanmean(scores))


def mean_dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean Dice (percent) over the foreground classes that occur in either label map."""
    present = np.union1d(np.unique(prediction), np.unique(truth))
    scores = []
    for c in present[present > 0]:
        p, t = prediction == c, truth == c
        scores.append(200 * np.count_nonzero(p & t) / (np.count_nonzero(p) + np.count_nonzero(t)))
    return float(np.mean(scores)) if scores else float("nan")
