"""The supervised baseline: the same network, loop and batch size on labeled images alone."""

from torch import Tensor

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.losses import segmentation_loss


class Method(method.Method):
    """One network, trained by cross entropy and Dice; with all cases labeled it is the upper bound."""

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.labeled_batch, self.unlabeled_batch = settings.labeled_batch + settings.unlabeled_batch, 0
        self.student = nets.build(**settings.network)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of one batch."""
        logits = self.student(batch.labeled_images).logits
        return {"loss": segmentation_loss(logits, batch.labels, None, self.options.dice, self.options.reduction)}
