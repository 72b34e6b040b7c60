"""A store made small for a journey, and made again from that, exactly: ACDC 130 → 64 MB, LA 264 → 126 MB.

Scanners deliver a few hundred different values, so an image is a table of its values and the index of each voxel's
in it, lower bytes first, compressed with bzip2.
"""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZipFile

import numpy as np

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.data.case import Case, Geometry
from m3hl.data.store import Store, digest
from m3hl.data.store_writer import write_store
from m3hl.errors import UserError
from m3hl.files.atomic import atomic
from m3hl.files.digests import sha256_file

FACTS = "facts.json"


def pack(store: Path, out: Path) -> None:
    """Write all that a store holds."""
    with Store(store) as data, atomic(out) as part, ZipFile(part, "w", ZIP_BZIP2) as archive:
        infos = [case for split in ("train", "val", "test") for case in data.cases(split)]
        facts = {
            "kind": data.kind,
            "source": data.source,
            "source_sha256": data.source_sha256,
            "labeled_order": data.labeled_order,
            "store_sha256": sha256_file(store),
            "cases": [asdict(info) for info in infos],
        }
        digests = facts["digests"] = {}
        for info in infos:
            for key in ("image", "label") if info.labeled else ("image",):
                array, place = getattr(data, key)(info.name), f"{info.name}/{key}"
                digests[place] = digest(array)
                archive.writestr(place, packed(array))
        archive.writestr(FACTS, json.dumps(facts))


def unpack(packed_store: Path, out: Path) -> bool:
    """Write the store again.

    Returns:
        Whether it is the same file: other releases of HDF5 or zlib write the same arrays in other bytes.

    Raises:
        UserError: an array differs from its digest.
    """
    with ZipFile(packed_store) as archive:
        facts = json.loads(archive.read(FACTS))
        write_store(
            out,
            kind=facts["kind"],
            source=facts["source"],
            description=describe(DatasetConfig(kind=facts["kind"], source=facts["source"])),
            source_sha256=facts["source_sha256"],
            cases=cases(archive, facts),
            labeled_order=facts["labeled_order"],
        )
    return sha256_file(out) == facts["store_sha256"]


def cases(archive: ZipFile, facts: dict[str, Any]) -> Iterator[Case]:
    """Yield the cases of a packed store; threads are ahead of whoever writes them."""

    def array(place: str) -> np.ndarray:
        content = unpacked(archive.read(place))
        if digest(content) != facts["digests"][place]:
            raise UserError(f"{archive.filename}: {place} differs from its digest; pack the store again")
        return content

    def case(info: dict[str, Any]) -> Case:
        name, geometry = info["name"], Geometry(**info["geometry"]) if info["geometry"] else None
        label = array(f"{name}/label") if info["labeled"] else None
        return Case(name, info["group"], info["split"], array(f"{name}/image"), label, geometry)

    with ThreadPoolExecutor() as threads:
        yield from threads.map(case, facts["cases"])


def packed(array: np.ndarray) -> bytes:
    """Return an array of any type as bytes that compress well."""
    # Bit patterns, not numbers: -0 and NaN come back as they were.
    values, index = np.unique(array.ravel().view(f"u{array.itemsize}"), return_inverse=True)
    index = index.astype("<u4").view(np.uint8).reshape(-1, 4)
    planes = index[:, : (max(len(values) - 1, 1).bit_length() + 7) // 8].T
    out = io.BytesIO()
    for part in (np.array(array.shape), values.view(array.dtype), planes):
        np.lib.format.write_array(out, np.ascontiguousarray(part), allow_pickle=False)
    return out.getvalue()


def unpacked(content: bytes) -> np.ndarray:
    """Return the array that `packed` was given."""
    source = io.BytesIO(content)
    shape, values, planes = (np.lib.format.read_array(source, allow_pickle=False) for _ in range(3))
    index = np.zeros(planes.shape[1], np.uint32)
    for shift, plane in enumerate(planes):
        index |= plane.astype(np.uint32) << np.uint32(8 * shift)
    return values[index].reshape(shape)
