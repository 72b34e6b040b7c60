"""Cross entropy and Dice on a region, and the two consistency losses (Eq. 3, 4 and 5)."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

DiceForm = Literal["squared", "plain"]
CACHED = 2**16
"""Values that stay in a CPU's cache while a loss works on them."""


def segmentation_loss(
    logits: Tensor,
    target: Tensor,
    region: Tensor | None,
    dice: DiceForm,
    reduction: Literal["sum", "mean"],
    **details: Any,
) -> Tensor:
    """Return cross entropy and Dice loss of a region, as their sum or their mean.

    Args:
        logits: (B, C, *).
        target: (B, *) class indices.
        region: (B, *), 1 inside, 0 outside; None for everything.
        dice: denominator of the Dice loss.
        reduction: "sum" (Eq. 3 as printed) or "mean" (as released).
        **details: of `dice_loss`.
    """
    logits = single(logits)
    if region is None:
        region = torch.ones_like(target, dtype=logits.dtype)
    total = cross_entropy(logits, target, region) + dice_loss(logits.softmax(1), target, region, dice, **details)
    return total if reduction == "sum" else total / 2


def supervised_loss(
    logits: Tensor,
    labels: Tensor,
    kind: Literal["ce_and_dice", "ce"] = "ce_and_dice",
    dice: DiceForm = "squared",
    epsilon: float | None = 1e-5,
) -> Tensor:
    """Return the loss of labeled samples, ½ (CE + Dice) or CE.

    Args:
        logits: (B, C, *).
        labels: (B, *) class indices.
        kind: with Dice or without.
        dice, epsilon: `form` and `epsilon` of `dice_loss`.
    """
    if kind == "ce":
        return cross_entropy(single(logits), labels)
    return segmentation_loss(logits, labels, None, dice, "mean", epsilon=epsilon)


def cross_entropy(logits: Tensor, target: Tensor, region: Tensor | None = None) -> Tensor:
    """Return the mean cross entropy over the region's voxels, all without one; 0 for an empty region."""
    # F.cross_entropy's own mean adds up in no fixed order on a GPU.
    per_voxel = F.cross_entropy(logits, target, reduction="none")
    if region is None:
        return per_voxel.mean()
    return (per_voxel * region).sum() / (region.sum() + 1e-16)


def dice_loss(
    probability: Tensor,
    target: Tensor,
    region: Tensor,
    form: DiceForm,
    *,
    epsilon: float | None = None,
    background: bool = True,
    background_region: bool = True,
) -> Tensor:
    """Return 1 − Dice of a region, averaged over classes.

    "squared" (released ACDC) has the denominator Σp² + Σy² over the whole batch and ε = 1e-10; "plain"
    (released LA) has Σp + Σy for each sample and ε = 1e-5, and averages over samples too.

    Args:
        probability: (B, C, *), softmax of the logits.
        target: (B, *) class indices.
        region: (B, *), 1 inside, 0 outside.
        form: "squared" or "plain".
        epsilon: added to both sides of the fraction; None: the form's.
        background: whether class 0 counts.
        background_region: whether class 0 is looked at in the region alone; if not, everywhere.
    """
    truth = one_hot(target, probability.shape[1], probability.dtype)
    inside = region.unsqueeze(1)
    if not background_region:
        inside = torch.where(class_axis(probability.shape[1], target) == 0, 1.0, inside)
    if form == "squared":
        axes, usual = (0, *range(2, probability.ndim)), 1e-10
        size = (probability.square() * inside).sum(axes) + (truth * inside).sum(axes)
    else:
        axes, usual = tuple(range(2, probability.ndim)), 1e-5
        size = (probability * inside).sum(axes) + (truth * inside).sum(axes)
    overlap = (probability * truth * inside).sum(axes)
    epsilon = usual if epsilon is None else epsilon
    per_class = 1 - (2 * overlap + epsilon) / (size + epsilon)
    return (per_class if background else per_class[..., 1:]).mean()


def one_hot(target: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return (B, C, *), 1 where a voxel is of a class, of class indices (B, *)."""
    # Not F.one_hot, which reads the largest label on the host.
    return (target.unsqueeze(1) == class_axis(classes, target)).to(dtype)


def class_axis(classes: int, target: Tensor) -> Tensor:
    """Return 0, 1, … along the axis (C, *) that probabilities have beside class indices (B, *)."""
    return torch.arange(classes, device=target.device).view(-1, *[1] * (target.ndim - 1))


def soft_dice(p: Tensor, q: Tensor, *, power: int, epsilon: float) -> Tensor:
    """Return (2 Σ p q + ε) / (Σ p^power + Σ q^power + ε) of each class (C), sums over samples and voxels together.

    Args:
        p, q: (B, C, *), probabilities, or those and 0 or 1.
        power: 1 or 2.
        epsilon: ε.
    """
    axes = (0, *range(2, p.ndim))
    size = sum((x.square() if power == 2 else x).sum(axes) for x in (p, q))
    return (2 * (p * q).sum(axes) + epsilon) / (size + epsilon)


def foreground_dice(p: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over foreground classes of 1 − (2 Σ p y + ε) / (Σ p + Σ y + ε), ε = 1e-8.

    Args:
        p: (B, C, *), probabilities.
        labels: (B, *).
    """
    return 1 - soft_dice(p, one_hot(labels, p.shape[1], p.dtype), power=1, epsilon=1e-8)[1:].mean()


def single(logits: Tensor) -> Tensor:
    """Return logits in single precision, or better where they are."""
    return logits if logits.dtype == torch.float64 else logits.float()


def low_level_loss(mixed: list[Tensor], unlabeled: list[Tensor]) -> Tensor:
    """Return L_low (Eq. 4): the mean absolute difference, averaged over all pairs of streams.

    No gradient flows to `unlabeled`, the teacher's features.
    """
    return torch.stack([MeanAbsoluteDifference.apply(s, *unlabeled) for s in mixed]).mean()


class MeanAbsoluteDifference(torch.autograd.Function):
    """mean |s − t|, averaged over all t: value and gradient in one pass over the features.

    These are the largest tensors of a step, and step by step (difference, absolute value, mean, sign, product, sum
    of gradients) they pass the memory 44 times, a fifth of a V-Net's step on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, *others: Tensor) -> Tensor:
        """Return the value, and keep the sum of the signs."""
        total, signs = torch.zeros((), device=s.device), torch.zeros_like(s)
        for part, part_signs, *part_others in zip(*map(cached_parts, (s, signs, *others)), strict=True):
            for other in part_others:
                difference = part - other
                total += difference.abs().sum(dtype=torch.float32)
                part_signs += difference.sign_()
        ctx.scale = 1 / (len(others) * s.numel())
        ctx.save_for_backward(signs)
        return total * ctx.scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of `s`."""
        (signs,) = ctx.saved_tensors
        return signs * (gradient * ctx.scale), *[None] * (len(ctx.needs_input_grad) - 1)


def cached_parts(x: Tensor) -> list[Tensor]:
    """Return views of (B, C, *) that fit a CPU's cache one at a time; on a GPU the whole."""
    if x.is_cuda:
        return [x]
    rows = max(1, CACHED // x[0, :, 0].numel())
    return [part for sample in x for part in sample.split(rows, dim=1)]


def high_level_loss(mixed: list[Tensor], unlabeled: list[Tensor]) -> Tensor:
    """Return L_high (Eq. 5): 1 − cosine similarity of each sample's features, averaged over all pairs."""
    mixed, unlabeled = ([features.flatten(1).float() for features in streams] for streams in (mixed, unlabeled))
    distances = [1 - F.cosine_similarity(s, t, dim=1).mean() for s in mixed for t in unlabeled]
    return torch.stack(distances).mean()


def pooled(bottleneck: Tensor) -> Tensor:
    """Return the bottleneck (B, C, X, Y, Z) after max pooling over 3³ with stride 2, as released for LA."""
    # CUDA's max_pool3d has no deterministic gradient. This shares it among ties, which are zeros and pass none on.
    windows = bottleneck.unfold(2, 3, 2).unfold(3, 3, 2).unfold(4, 3, 2)
    return windows.amax((-3, -2, -1))
