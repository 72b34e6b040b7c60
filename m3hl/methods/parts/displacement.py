"""Adaptive bidirectional displacement (ABD): a view's least confident cell gives way to one of the other view."""

import torch
from torch import Tensor

CELLS = 4
"""Along each axis."""


@torch.no_grad()
def displaced(
    images: tuple[Tensor, Tensor], logits: tuple[Tensor, Tensor], by_similarity: Tensor, most_confident: int
) -> tuple[Tensor, Tensor]:
    """Return both views of some images with one cell of each replaced by a cell of the other view.

    The first view's least confident cell becomes the second's cell c, then the second's least confident one the
    first's cell a. By similarity, c is the one of the second view's most confident cells whose classes are most
    like those of the cell that it replaces: argmin_j KL(q₁(low₁) ‖ q₂(j)); a likewise. Else both are the most
    confident cells of their views.

    Args:
        images: (B, C, H, W) of the first and of the second view.
        logits: (B, C, H, W) of each view, by the network that learns from it.
        by_similarity: (B,), true where the replacing cell is chosen by similarity.
        most_confident: how many cells it is chosen from.
    """
    confidence = [cells_of(each.softmax(1).amax(1, keepdim=True)).mean((2, 3, 4)) for each in logits]
    classes = [cells_of(each).mean((3, 4)).log_softmax(2) for each in logits]
    low = [each.argmin(1) for each in confidence]
    chosen = []
    for own, other in ((0, 1), (1, 0)):
        top = confidence[other].topk(most_confident, dim=1).indices
        replaced, candidates = picked(classes[own], low[own][:, None]), picked(classes[other], top)
        divergence = (replaced.exp() * (replaced - candidates)).sum(2)
        similar = picked(top, divergence.argmin(1))
        chosen.append(torch.where(by_similarity, similar, top[:, 0]))
    first, second = (cells_of(view) for view in images)
    first = replaced_by(first, low[0], picked(second, chosen[0]))
    second = replaced_by(second, low[1], picked(first, chosen[1]))
    return whole(first), whole(second)


def cells_of(maps: Tensor) -> Tensor:
    """Return the cells (B, cells, C, h, w) of maps (B, C, H, W), row by row."""
    rows = maps.unflatten(3, (CELLS, -1)).unflatten(2, (CELLS, -1))
    return rows.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)


def whole(cells: Tensor) -> Tensor:
    """Return the maps (B, C, H, W) that have these cells."""
    return cells.unflatten(1, (CELLS, CELLS)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def picked(values: Tensor, which: Tensor) -> Tensor:
    """Return of each sample's values (B, N, *) the one or the several whose numbers are (B,) or (B, n)."""
    sample = torch.arange(len(values), device=values.device)
    return values[sample if which.ndim == 1 else sample[:, None], which]


def replaced_by(cells: Tensor, which: Tensor, new: Tensor) -> Tensor:
    """Return the cells (B, N, C, h, w) with those of the numbers (B,) replaced by new ones (B, C, h, w)."""
    number = torch.arange(cells.shape[1], device=cells.device)
    return torch.where((number == which[:, None])[..., None, None, None], new[:, None], cells)
