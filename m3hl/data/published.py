"""Comparison of arrays with the published ones, by digest."""

import numpy as np

from m3hl.data.case import Case
from m3hl.data.manifest import Entry, read_manifest
from m3hl.data.store import digest


def equals_published(case: Case, kind: str) -> bool:
    """Return whether image and label of a case are, bit for bit, those that were published.

    A volume that was published slice by slice must have all of its slices equal, and no other.
    """
    manifest = read_manifest(kind)
    if case.name in manifest:
        return same(case.image, case.label, manifest[case.name])
    depth = len(case.image)
    entries = [manifest.get(f"{case.name}_slice_{number}") for number in range(1, depth + 2)]
    return entries[depth] is None and all(
        entry is not None and same(case.image[index], None if case.label is None else case.label[index], entry)
        for index, entry in enumerate(entries[:depth])
    )


def same(image: np.ndarray, label: np.ndarray | None, entry: Entry) -> bool:
    """Return whether both arrays have the digests of `entry`."""
    return label is not None and (digest(image), digest(label)) == (entry.image_sha256, entry.label_sha256)
