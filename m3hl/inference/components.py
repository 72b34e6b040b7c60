"""The largest connected component of each class: M³HL's cleaning of pseudo-labels, LA's of predictions."""

import logging
import os
import shutil
from functools import cache

import cc3d
import numpy as np
import torch
from torch import Tensor

log = logging.getLogger(__name__)

CONNECTIVITY = {2: 8, 3: 26}
"""Full connectivity by dimension."""


def largest_components(labels: Tensor) -> Tensor:
    """Keep, per sample and foreground class, only the largest connected component.

    Of components of equal size the one met first in C order stays; an absent class stays absent.

    Args:
        labels: (B, H, W) or (B, X, Y, Z) class indices.

    Returns:
        Class indices of the same shape, type and device; removed voxels are background.
    """
    if labels.is_cuda and has_compiler():
        # Triton comes with torch's CUDA builds only.
        from m3hl.inference import components_cuda

        return components_cuda.largest_components(labels)
    kept = [largest_component(sample) for sample in labels.cpu().numpy()]
    return torch.from_numpy(np.stack(kept)).to(labels.device)


@cache
def has_compiler() -> bool:
    """Return whether Triton can build its launcher, which takes a C compiler; warn once if not."""
    found = any(shutil.which(name) for name in (os.environ.get("CC"), "gcc", "clang") if name)
    if not found:
        log.warning(
            "warning: no C compiler (gcc, clang or $CC): components are found on the CPU, and every step waits"
        )
    return found


def largest_component(labels: np.ndarray) -> np.ndarray:
    """Keep the largest connected component of each foreground class of one label map (H, W) or (X, Y, Z)."""
    labels = np.ascontiguousarray(labels)
    # cc3d numbers components in the order in which C order meets them, so argmax keeps the first of a tie.
    components = cc3d.connected_components(labels.astype(np.uint8), connectivity=CONNECTIVITY[labels.ndim])
    sizes = np.bincount(components.ravel())
    classes = np.zeros(len(sizes), dtype=labels.dtype)
    classes[components] = labels
    kept = np.zeros_like(classes)
    for c in np.unique(classes[1:]):
        members = np.flatnonzero(classes == c)
        kept[members[sizes[members].argmax()]] = c
    return kept[components]
