"""Seconds per evaluated volume: sliding windows one by one and together, and the metrics beside medpy's."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.run import RunSettings
from m3hl.data.store import Store
from m3hl.evaluation.metrics import measure_masks
from m3hl.inference.protocol import Protocol, decide, resize_nearest, window_slices
from m3hl.training.session import MEMORY_FORMAT
from tests.benchmarks.clock import seconds_each


def inference(
    settings: RunSettings, path: Path, stride: tuple[int, ...] | None, device: torch.device, rounds: int
) -> dict[str, Any]:
    """Return the seconds of one test volume, one by one and as the project does it, and the labels that differ."""
    torch.manual_seed(0)
    network = nets.build(settings.dimensions, len(settings.classes) + 1, settings.channels).to(device).eval()
    with Store(path) as store:
        volume = torch.from_numpy(store.image(store.cases("test")[0].name)).to(device)
    protocol = Protocol(settings.crop, stride)
    one_by_one = windows_one_by_one if stride else slices_one_by_one
    expected = one_by_one(network, volume, protocol)
    before = seconds_each(lambda: one_by_one(network, volume, protocol), rounds, device, calls=1)
    network = network.to(memory_format=MEMORY_FORMAT[settings.dimensions])
    (labels,) = protocol.segment(network, [volume])
    return {
        "one_by_one": before,
        "ours": (ours := seconds_each(lambda: protocol.segment(network, [volume]), rounds, device, calls=1)),
        "ratio": ours / before,
        "voxels": labels.numel(),
        "voxels_that_differ": int((labels != expected).sum()),
    }


@torch.inference_mode()
def windows_one_by_one(network: nn.Module, volume: Tensor, protocol: Protocol) -> Tensor:
    """Segment a volume window after window: the definition."""
    missing = [max(w - n, 0) for n, w in zip(volume.shape, protocol.crop, strict=True)]
    padding = [side for m in reversed(missing) for side in (m // 2, m - m // 2)]
    padded = torch.nn.functional.pad(volume, padding)
    total, count = None, torch.zeros_like(padded)
    for place in window_slices(padded.shape, protocol.crop, protocol.stride):
        probability = network(padded[place][None, None]).logits.softmax(1)[0]
        if total is None:
            total = torch.zeros(len(probability), *padded.shape, device=volume.device)
        total[(slice(None), *place)] += probability
        count[place] += 1
    inside = tuple(slice(m // 2, m // 2 + n) for m, n in zip(missing, volume.shape, strict=True))
    return decide(total / count)[inside].to(torch.uint8)


@torch.inference_mode()
def slices_one_by_one(network: nn.Module, volume: Tensor, protocol: Protocol) -> Tensor:
    """Segment a volume slice after slice: the definition."""
    maps = []
    for image in volume:
        labels = network(resize_nearest(image[None], protocol.crop)[None]).logits.argmax(1)
        maps.append(resize_nearest(labels, image.shape)[0])
    return torch.stack(maps).to(torch.uint8)


def metrics(path: Path, volumes: int) -> dict[str, Any]:
    """Return the seconds of one comparison by medpy and by the project, on label maps shifted and eroded."""
    from medpy.metric import binary

    spent, largest = {"medpy": 0.0, "ours": 0.0}, 0.0
    with Store(path) as store:
        truths = [store.label(case.name) > 0 for case in store.cases("test")[:volumes]]
    pairs = [(np.roll(t, (3, -2, 1), (0, 1, 2)), t) for t in truths]
    pairs += [(ndimage.binary_erosion(t, iterations=2), t) for t in truths]
    for prediction, truth in pairs:
        begun = time.perf_counter()
        by_medpy = [
            100 * binary.dc(prediction, truth),
            100 * binary.jc(prediction, truth),
            binary.hd95(prediction, truth),
            binary.asd(prediction, truth),
        ]
        between = time.perf_counter()
        measured = measure_masks(prediction, truth)
        spent["medpy"] += between - begun
        spent["ours"] += time.perf_counter() - between
        ours = [measured.dice, measured.jaccard, measured.hd95, measured.asd]
        largest = max(largest, *(abs(a - b) for a, b in zip(by_medpy, ours, strict=True)))
    each = {name: seconds / len(pairs) for name, seconds in spent.items()}
    return each | {"times_faster": each["medpy"] / each["ours"], "largest_difference": largest}
