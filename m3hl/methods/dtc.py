"""DTC: dual-task consistency (Luo et al., AAAI 2021)."""

import torch
from torch import Tensor

from m3hl.data.batches import Batch
from m3hl.methods.parts.two_heads import TwoHeads

STEEPNESS = 1500
"""Of the step that makes a mask of distances: it is 0 or 1 but for |t| < 0.003."""


class Method(TwoHeads):
    """A network whose segmentation and whose signed distances must agree, on labeled and on unlabeled images."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return L = L_dice + β L_dist + λ(t) · L_con, from one pass of all images."""
        p, t = self.predict(torch.cat([batch.labeled_images, batch.unlabeled_images]))
        dice, distance = self.labeled_losses(p, t, batch.labels)
        consistency = consistency_loss(p, t)
        weight = self.options.consistency_weight * self.ramp(batch)
        loss = dice + self.options.distance_weight * distance + weight * consistency
        return {
            "loss": loss,
            "dice": dice,
            "distance": distance,
            "consistency": consistency,
            "weight": torch.full_like(loss, weight),
        }


def consistency_loss(p: Tensor, t: Tensor) -> Tensor:
    """Return L_con, the mean of (sigmoid(−1500 t) − p)² over all samples, foreground classes and voxels.

    Gradients reach both heads: none is the other's teacher. (The paper prints sigmoid(1500 t), which would be the
    mask's complement.)

    Args:
        p: (B, C, *), probabilities.
        t: (B, C − 1, *), distances.
    """
    return ((-STEEPNESS * t).sigmoid() - p[:, 1:]).square().mean()
