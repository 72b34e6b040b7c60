"""How good pseudo-labels are, for the learning curve alone: nothing that trains a network comes to see it."""

from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from m3hl.config.run import RunSettings
from m3hl.data.augment import central_view
from m3hl.data.batches import split_cases
from m3hl.data.pool import Pool
from m3hl.data.samples import Samples
from m3hl.data.store import Store
from m3hl.methods.checks import check_labels
from m3hl.methods.method import Method
from m3hl.training.validation import mean_dice

BATCHES = 2
"""So many are checked, which takes about as long as one step."""


@dataclass(frozen=True)
class PseudoLabelCheck:
    """Unlabeled training images whose label maps the data set has, the same at each validation.

    Attributes:
        images: (N, C, *crop): slices resized to the crop, or the middles of volumes; not augmented.
        truth: (N, *crop).
        batch: how many of them pass a network together.
        classes: number of foreground classes.
        seed: of dropout.
    """

    images: Tensor
    truth: Tensor
    batch: int
    classes: int
    seed: int

    @classmethod
    def load(cls, store: Store, settings: RunSettings, batch: int, device: torch.device) -> Self | None:
        """Read samples that are evenly spread over those unlabeled in the run but labeled in the data set.

        None where there are no such samples (all cases labeled, or one's own images without label maps), and for
        a method without unlabeled images (`batch` is 0).
        """
        labeled, others = split_cases(store, settings.labeled)
        cases = [case for case in others if case.labeled and case not in labeled]
        samples = Samples(store, cases, labels=True)
        count = BATCHES * batch
        if not count or not len(samples):
            return None
        # The middle of each part: if parts are volumes, that is a slice with something in it.
        chosen = [(2 * part + 1) * len(samples) // (2 * count) for part in range(count)]
        views = [central_view(samples.shapes[index], settings.crop) for index in chosen]
        pool = Pool(samples, "store", device)
        images, truth = pool.gather(pool.stage(chosen, views), settings.crop)
        pool.close()
        return cls(images, truth, batch, len(settings.classes), settings.seed)

    @torch.no_grad()
    def __call__(self, method: Method) -> dict[str, float]:
        """Return the Dice (percent) of each network's pseudo-labels as `pseudo_<name>_dice`.

        That of all samples as one image, averaged over the classes.
        """
        return {f"pseudo_{name}_dice": self.score(method, network) for name, network in method.networks().items()}

    def score(self, method: Method, network: nn.Module) -> float:
        """Return the Dice (percent) of the pseudo-labels that the method would make with a network."""
        # As in training: batch statistics, dropout. Running statistics and random numbers stay as they were.
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        devices = [self.images.device] if self.images.is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.seed)
            apply = partial(functional_call, network, buffers)
            labels = [method.pseudo_labels(apply, images) for images in self.images.split(self.batch)]
            check_labels(method, labels[0], self.images[: self.batch])
        return mean_dice(torch.cat(labels), self.truth, self.classes).item()
