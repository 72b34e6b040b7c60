"""SASSNet: shape-aware segmentation with a discriminator on signed distances (Li et al., MICCAI 2020)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods.parts.discriminator import Discriminator
from m3hl.methods.parts.losses import cross_entropy, single
from m3hl.methods.parts.two_heads import TwoHeads
from m3hl.methods.update import Update


class Method(TwoHeads):
    """A network whose distances of unlabeled images shall look like those of labeled ones, and who judges that."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.discriminator = Discriminator(settings.dimensions, self.foreground, settings.inputs)

    def updates(self) -> list[Update]:
        """Return the network's update by SGD, and then the discriminator's by Adam, on the same batch."""
        rate = self.options.discriminator_learning_rate
        adam = torch.optim.Adam(self.discriminator.parameters(), lr=rate, betas=(0.9, 0.99), fused=True)
        return [*super().updates(), Update(self.discriminator_losses, adam, lambda t, total: rate)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = L_dice + β L_dist + w(t) · L_adv, from one pass of all images."""
        p, t = self.predict(torch.cat([batch.labeled_images, batch.unlabeled_images]))
        dice, distance = self.labeled_losses(p, t, batch.labels)
        adversarial = self.adversarial_loss(t[len(batch.labels) :], batch.unlabeled_images)
        weight = self.options.adversarial_weight * self.ramp(batch)
        loss = dice + self.options.distance_weight * distance + weight * adversarial
        return {
            "loss": loss,
            "dice": dice,
            "distance": distance,
            "adversarial": adversarial,
            "weight": torch.full_like(loss, weight),
        }

    def adversarial_loss(self, t: Tensor, images: Tensor) -> Tensor:
        """Return L_adv, the cross entropy of D(t, x) of unlabeled samples against "labeled".

        D has no dropout here, and is not trained: the gradient goes through it into t.
        """
        self.discriminator.eval()
        with frozen(self.discriminator):
            logits = single(self.discriminator(t, images))
        return cross_entropy(logits, torch.ones_like(logits[:, 0], dtype=torch.long))

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L_D, the cross entropy of D(t, x) against who is labeled, of the network as it has become.

        All t are predictions, without dropout and with running statistics: D never sees a true distance map.
        """
        images = torch.cat([batch.labeled_images, batch.unlabeled_images])
        self.student.eval()
        with torch.no_grad():
            _, t = self.predict(images)
        labeled = torch.arange(len(images), device=images.device) < len(batch.labels)
        logits = single(self.discriminator.train()(t, images))
        loss = cross_entropy(logits, labeled.long())
        return {"loss": loss, "discriminator": loss}


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let what is computed within leave no gradient in a network's parameters."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
