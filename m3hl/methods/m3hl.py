"""M³HL: mutual mask mix with high-low level feature consistency (Liu et al., MICCAI 2025)."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from m3hl import nets
from m3hl.compute.team import Team
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.errors import UserError
from m3hl.methods.parts.copy_paste import CopyPaste
from m3hl.methods.parts.losses import high_level_loss, low_level_loss, pooled, segmentation_loss
from m3hl.methods.parts.mix import draw_masks
from m3hl.methods.parts.teacher import update_teacher


class Method(CopyPaste):
    """Student and teacher, trained by L = L_mix + λ (L_low + L_high) (Eq. 1).

    L_mix is the loss of BCP's self-training. Its own are the mask, L_low and L_high; there is no pretraining.
    """

    def __init__(self, settings: RunSettings) -> None:
        super().__init__(settings)
        self.student = nets.build(**settings.network)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.join(Team())

    def join(self, team: Team) -> None:
        """Train with another process, each with a stream; raises `UserError` where the streams share anything."""
        if team.size > 1 and (self.options.forward == "joint" or self.options.supervised_loss):
            raise UserError(
                "two processes take one stream each: that needs forward: separate and no supervised_loss; "
                "train with one process"
            )
        self.team = team
        if team.size > 1:
            # A partial is no module: what only passes images through the student is no part of the method's state.
            self.averaged_student = partial(team.parallel(self.student, all_used=self.options.mix_loss))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of one step; a batch's first halves are stream a, the second halves stream b."""
        options, team = self.options, self.team
        mask = self.draw_mask(batch)
        team.prepare(batch.rng, self.student, self.teacher)
        pasted = self.paste(self.student if team.size == 1 else self.averaged_student, batch, mask)

        losses: dict[str, Tensor] = {}
        total = torch.zeros((), device=mask.device)
        if options.mix_loss:
            losses["mix"] = team.sum(self.mix_losses(pasted))
            total = total + losses["mix"]
        if options.consistency_loss:
            streams = pasted.student, pasted.taught
            losses["low"] = low_level_loss(*self.features(options.low_features, *streams))
            losses["high"] = high_level_loss(*self.features(options.high_features, *streams))
            total = total + options.consistency_weight * (losses["low"] + losses["high"])
        if options.supervised_loss:
            logits = self.student(batch.labeled_images).logits
            losses["supervised"] = segmentation_loss(logits, batch.labels, None, options.dice, options.reduction)
            total = total + losses["supervised"]
        return {"loss": total} | losses

    def draw_mask(self, batch: Batch) -> Tensor:
        """Return M for one stream, (B/2, *crop); the same mask serves both streams."""
        count, crop = self.labeled_batch // 2, self.settings.crop
        device = batch.labeled_images.device
        if not self.options.mix:
            return torch.ones(count, *crop, device=device)
        return draw_masks(batch.rng, count, crop, self.options.mask_patch(crop), self.options.mask_ratio, device)

    def own(self, streams: Sequence) -> Sequence:
        """Return of something for streams a and b what this process computes with."""
        return self.team.own(streams)

    def forward_streams(
        self, network: Callable[[Tensor], nets.Output], streams: Sequence[Tensor]
    ) -> list[nets.Output]:
        """Pass the streams through a network one after the other, or as one batch (`forward: joint`)."""
        if self.options.forward == "separate":
            return super().forward_streams(network, streams)
        joint = network(torch.cat(list(streams)))
        return [nets.Output(*halves) for halves in zip(*(t.chunk(2) for t in joint), strict=True)]

    def features(
        self, name: str, student: list[nets.Output], teacher: list[nets.Output]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the features called `name` of the mixed and of the unlabeled streams."""
        return [feature(name, out) for out in student], self.team.gather([feature(name, out) for out in teacher])

    def after_step(self, _: Batch) -> None:
        """Let the teacher follow the student."""
        self.team.combine_statistics()
        update_teacher(self.teacher, self.student, self.options.ema_decay, buffers=self.options.ema_buffers)

    def networks(self) -> dict[str, nn.Module]:
        """Return student and teacher."""
        return {"student": self.student, "teacher": self.teacher}


def feature(name: str, output: nets.Output) -> Tensor:
    """Return the features of one forward pass that a knob names."""
    return pooled(output.bottleneck) if name == "pooled_bottleneck" else getattr(output, name)
