"""The teacher: an exponential moving average of the student, and its pseudo-labels."""

import torch
from torch import Tensor, nn

from m3hl.inference.components import largest_components


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, decay: float, *, buffers: bool) -> None:
    """Move the teacher's parameters towards the student's: θ_t ← decay · θ_t + (1 − decay) · θ_s.

    Args:
        teacher: changed in place.
        student: not changed.
        decay: share of the teacher that stays (published: 0.99).
        buffers: do the same with the batch-norm running statistics.
    """
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    if buffers:
        both = zip(teacher.buffers(), student.buffers(), strict=True)
        pairs += [(t, s) for t, s in both if t.is_floating_point()]
    torch._foreach_lerp_([t for t, _ in pairs], [s.detach() for _, s in pairs], 1 - decay)


def pseudo_label(logits: Tensor) -> Tensor:
    """Return the class of each voxel (B, *), cleaned to the largest component per class.

    The class is the arg max of the logits (B, C, *). Binary maps take the foreground at p ≥ 0.5, so that a
    tie is foreground; arg max alone would make it background.
    """
    labels = (logits[:, 1] >= logits[:, 0]).long() if logits.shape[1] == 2 else logits.argmax(1)
    return largest_components(labels)
