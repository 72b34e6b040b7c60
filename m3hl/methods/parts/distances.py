"""Signed distance maps of label maps: what a second head learns to predict."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor


def signed_distances(labels: Tensor, classes: int, absent: Literal["zero", "outside"]) -> Tensor:
    """Return the maps s (B, classes, *) in [−1, 1] of the foreground classes, each against all the rest.

    With d a voxel's Euclidean distance (in voxels) to the nearest one of the other side, s = d / max d outside and
    −d / max d inside: each side has a scale of its own, in every crop and class. Inside voxels with d = 1 are the
    edge, where s = 0; the crop's border makes none. A class that fills the crop is −1.

    Args:
        labels: (B, *) class indices, on the device where the maps are wanted.
        classes: number of foreground classes.
        absent: of a class without any voxel: s = 0, as if all were edge, or s = 1.
    """
    masks = torch.stack([labels == c for c in range(1, classes + 1)], dim=1)
    places = tuple(range(2, masks.ndim))
    measure = nearest_on_device if labels.is_cuda else nearest_on_host
    outside, inside = measure(torch.cat([masks, ~masks], dim=1)).chunk(2, dim=1)
    # Where there is but one side, these are no numbers.
    outside = outside / outside.amax(places, keepdim=True)
    inside = inside * (inside > 1) / inside.amax(places, keepdim=True)
    signed = torch.where(masks, -inside, outside)
    signed = torch.where(masks.all(places, keepdim=True), -1.0, signed)
    return torch.where(masks.any(places, keepdim=True), signed, {"zero": 0.0, "outside": 1.0}[absent])


def nearest_on_host(masks: Tensor) -> Tensor:
    """Return each voxel's distance to the nearest true one (B, K, *), whatever it is where there is none.

    SciPy's: per map of 112×112×80 and core 0.1 s, where torch takes 0.3 s.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        maps = list(threads.map(distance_transform_edt, (~masks).flatten(0, 1).numpy()))
    return torch.from_numpy(np.stack(maps).astype(np.float32)).view(masks.shape)


def nearest_on_device(masks: Tensor) -> Tensor:
    """Return the same, made where the masks are and without waiting for them; infinite where there is none.

    Squared distances are exact: whole numbers in float32. One sample at a time, as the largest table has a row of
    voxels for every voxel (0.9 GB for both sides of a crop of 112×112×80).
    """
    squared = torch.where(masks, 0.0, torch.inf)
    return torch.stack([squared_distances(sample) for sample in squared]).sqrt()


def squared_distances(squared: Tensor) -> Tensor:
    """Return min over w of f(w) + |v − w|² for f (K, *), which is 0 at the voxels to reach and else infinite.

    One axis after the other: the minimum over all voxels is that over an axis of the minima over the others.
    """
    for axis in range(1, squared.ndim):
        place = torch.arange(squared.shape[axis], dtype=squared.dtype, device=squared.device)
        steps = (place.unsqueeze(1) - place).square()
        squared = (squared.movedim(axis, -1).unsqueeze(-2) + steps).amin(-1).movedim(-1, axis)
    return squared
