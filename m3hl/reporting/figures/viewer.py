"""A case slice by slice, in few bytes: what templates/viewer.js shows."""

import json
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from m3hl.reporting.figures.outlines import outline
from m3hl.reporting.figures.pictures import jpeg
from m3hl.reporting.figures.slices import MOST, choose_slices, fullest

WIDEST = 128
"""Pixels of an image along either axis, at most."""
BUDGET = 250_000
"""Bytes of a case, at most; where they do not suffice, fewer slices are shown."""


def viewer(images: np.ndarray, truth: np.ndarray, predictions: list[np.ndarray | None]) -> dict[str, Any]:
    """Return a case's images and outlines, within `BUDGET` bytes of JSON.

    Args:
        images: 8 bit, (N, H, W).
        truth: label maps, (N, H, W).
        predictions: the same for each method; None where there is none.

    Returns:
        height, width: of a slice, in the units of the outlines.
        total: slices of the case; step: each how many-th of them is here; slices: their numbers, from 1.
        start: place in `slices` of the one with most of the structures.
        images: one data URI per slice.
        outlines: of the truth, then of each method; one SVG path per slice, or None for the method.
    """
    best = fullest(truth)

    @cache
    def frame(number: int) -> tuple[str, list[str | None]]:
        paths = [None if labels is None else outline(labels[number]) for labels in (truth, *predictions)]
        return jpeg(images[number], WIDEST), paths

    def frames(step: int) -> dict[str, Any]:
        chosen = choose_slices(truth, step)
        pictures, paths = zip(*map(frame, chosen), strict=True)
        return {
            "height": images.shape[1],
            "width": images.shape[2],
            "total": len(images),
            "step": step,
            "slices": [number + 1 for number in chosen],
            "start": chosen.index(best),
            "images": list(pictures),
            "outlines": [None if None in of_one else list(of_one) for of_one in zip(*paths, strict=True)],
        }

    step = next(step for step in count(1) if len(choose_slices(truth, step)) <= MOST)
    while len(json.dumps(found := frames(step))) > BUDGET and len(found["slices"]) > 1:
        step += 1
    return found
