"""Bidirectional copy-paste: the step of BCP, which M³HL takes over with another mask and one loss more."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.data.batches import Batch
from m3hl.methods import method
from m3hl.methods.parts.losses import segmentation_loss
from m3hl.methods.parts.mix import mix
from m3hl.methods.parts.teacher import pseudo_label


class Pasted(NamedTuple):
    """What the passes of a step give, for stream a and for stream b.

    Attributes:
        mixed_images: (B/2, C, *).
        student: of the mixed images.
        taught: the teacher's, of the unlabeled images.
        labels, pseudo_labels: (B/2, *), of the labeled and of the unlabeled images.
        labeled_side: (B/2, *), 1 where the labeled image is seen.
    """

    mixed_images: list[Tensor]
    student: list[nets.Output]
    taught: list[nets.Output]
    labels: Sequence[Tensor]
    pseudo_labels: list[Tensor]
    labeled_side: list[Tensor]


class CopyPaste(method.Method):
    """A teacher labels unlabeled images, which are mixed with labeled ones by a mask; a student learns both sides.

    A batch's first halves are stream a, the second halves stream b. What a method adds is its mask.
    """

    teacher: nn.Module

    def draw_mask(self, batch: Batch) -> Tensor:
        """Return M for one stream, (B/2, *crop), 1 or 0; the same mask serves both streams."""
        raise NotImplementedError

    def paste(self, student: Callable[[Tensor], nets.Output], batch: Batch, mask: Tensor) -> Pasted:
        """Pass unlabeled images through the teacher, and their mixtures with labeled ones through a student."""
        labeled_images, labels, unlabeled_images = (
            self.own(halves.chunk(2)) for halves in (batch.labeled_images, batch.labels, batch.unlabeled_images)
        )
        with torch.no_grad():
            taught = self.forward_streams(self.teacher, unlabeled_images)
            pseudo_labels = [pseudo_label(out.logits) for out in taught]
        labeled_side = [mask if keeps == "labeled" else 1 - mask for keeps in self.own(self.options.mask_keeps)]
        mixed_images = [
            mix(labeled, unlabeled, side)
            for labeled, unlabeled, side in zip(labeled_images, unlabeled_images, labeled_side, strict=True)
        ]
        outputs = self.forward_streams(student, mixed_images)
        return Pasted(mixed_images, outputs, taught, labels, pseudo_labels, labeled_side)

    def mix_losses(self, pasted: Pasted) -> list[Tensor]:
        """Return each stream's term of L_mix."""
        streams = zip(pasted.student, pasted.labels, pasted.pseudo_labels, pasted.labeled_side, strict=True)
        return [self.mix_loss(out.logits, y, pseudo, side) for out, y, pseudo, side in streams]

    def mix_loss(self, logits: Tensor, labels: Tensor, pseudo_labels: Tensor, labeled_side: Tensor) -> Tensor:
        """Return one stream's term of L_mix (M³HL's Eq. 3): each side of the mask has its target and weight."""
        labeled = self.region_loss(logits, labels, labeled_side)
        unlabeled = self.region_loss(logits, pseudo_labels, 1 - labeled_side)
        return self.options.labeled_weight * labeled + self.options.unlabeled_weight * unlabeled

    def region_loss(self, logits: Tensor, target: Tensor, region: Tensor) -> Tensor:
        """Return cross entropy and Dice loss of a region."""
        return segmentation_loss(logits, target, region, self.options.dice, self.options.reduction)

    def pseudo_labels(self, network: Callable[[Tensor], nets.Output], images: Tensor) -> Tensor:
        """Return the labels that a network as teacher gives two streams of unlabeled images."""
        taught = self.forward_streams(network, images.chunk(2))
        return torch.cat([pseudo_label(out.logits) for out in taught])

    def own(self, streams: Sequence) -> Sequence:
        """Return of something for streams a and b what this process computes with."""
        return streams

    def forward_streams(
        self, network: Callable[[Tensor], nets.Output], streams: Sequence[Tensor]
    ) -> list[nets.Output]:
        """Pass the streams through a network one after the other, or as one batch (`forward: joint`)."""
        if self.options.forward == "separate":
            return [network(stream) for stream in streams]
        joint = network(torch.cat(list(streams)))
        return [type(joint)(*halves) for halves in zip(*(t.chunk(2) for t in joint), strict=True)]
