"""The store: all cases of one data set in one HDF5 file.

Schema, version 1 (every attribute is checked when the file is opened):

    /                attrs  schema = "m3hl-store", version = 1
                            kind, source             data set module and where the images came from
                            dimensions               2: slices along axis 0 are the samples; 3: volumes are
                            classes                  names of labels 1, 2, …
                            labeled_order            train groups in the order in which they become labeled;
                                                     only groups whose every case has a label
                            source_sha256            digest of the list of files that the store was made from
                            citation, license
    /cases                  in stored order: train (labeled order, then the unlabeled), val, test
    /cases/<name>    attrs  group, split, image_sha256, label_sha256 (digests of the arrays, C order)
                            spacing, origin, direction, axes, offset, size   as in `Geometry`; absent = unknown
    /cases/<name>/image     float32 (Z, H, W) or (X, Y, Z)
    /cases/<name>/label     uint8, same shape; absent = the case has no label

The same input gives the same bytes: no dates, no paths, fixed order. `m3hl.data.store_writer` writes it.
"""

import hashlib
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from m3hl.data.case import Geometry
from m3hl.data.datasets.description import Split
from m3hl.errors import UserError

SCHEMA, VERSION = "m3hl-store", 1
ROOT_ATTRIBUTES = (
    "kind source dimensions classes labeled_order source_sha256 citation license".split()  # noqa: SIM905
)
REMEDY = "make it again with m3hl preprocess"


@dataclass(frozen=True)
class CaseInfo:
    """What is known about a case without reading its arrays.

    Attributes:
        name, group, split: as in `CaseFiles`.
        shape: voxels, (Z, H, W) or (X, Y, Z).
        labeled: whether the case has a label map.
        geometry: None where the source does not tell it.
    """

    name: str
    group: str
    split: Split
    shape: tuple[int, ...]
    labeled: bool
    geometry: Geometry | None


class Store:
    """A store, open for reading; use it in a `with` block.

    Attributes:
        path: the file.
        kind, source: data set module, and where its images came from.
        dimensions: 2 or 3.
        classes: names of labels 1, 2, ….
        labeled_order: train groups in the order in which they become labeled.
        source_sha256: digest of the list of files that the store was made from.
        citation, license: what to cite, and the terms of use.

    Raises:
        UserError: the file is missing, truncated, no store, of another version, or incomplete.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: there is no such store; make it with m3hl preprocess")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise UserError(f"{self.path}: this is no whole HDF5 file; {REMEDY}") from error
        try:
            self._read_attributes()
            self._cases = {name: self._info(name) for name in self._file["cases"]}
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def cases(self, split: str) -> list[CaseInfo]:
        """Return the cases of "train", "val" or "test" in stored order (train: the labeled order first)."""
        return [case for case in self._cases.values() if case.split == split]

    def image(self, name: str) -> np.ndarray:
        """Return a case's image, float32, (Z, H, W) or (X, Y, Z)."""
        return self._array(name, "image")

    def label(self, name: str) -> np.ndarray | None:
        """Return a case's label map, uint8, of the image's shape; None for a case without a label."""
        return self._array(name, "label") if self._case(name).labeled else None

    def planes(self, name: str, key: str, first: int, last: int) -> np.ndarray:
        """Return planes first … last − 1 along axis 0 of a case's "image" or "label".

        Other than through HDF5's own filters, several threads can read at a time.
        """
        dataset = self._file["cases"][name][key]
        depth = dataset.chunks[0]
        chunks = []
        for at in range(first - first % depth, last, depth):
            try:
                _, packed = dataset.id.read_direct_chunk((at, 0, 0))
                chunks.append(np.frombuffer(zlib.decompress(packed), dataset.dtype).reshape(dataset.chunks))
            except (OSError, ValueError, zlib.error) as error:
                raise self._damaged(name, key) from error
        return np.concatenate(chunks)[first % depth :][: last - first]

    def require(self, dimensions: int, classes: tuple[str, ...]) -> None:
        """Raise `UserError` unless the store's images and classes are those that a run is made for."""
        if (self.dimensions, self.classes) != (dimensions, classes):
            raise UserError(
                f"{self.path}: the store has {self.dimensions}D images of {', '.join(self.classes)}, the run "
                f"wants {dimensions}D and {', '.join(classes)}; {REMEDY}"
            )

    def verify(self) -> None:
        """Compare every stored array with its digest; raises `UserError` for the first that differs."""
        for info in self._cases.values():
            for key in ("image", "label") if info.labeled else ("image",):
                expected = self._file["cases"][info.name].attrs.get(f"{key}_sha256")
                if digest(self._array(info.name, key)) != expected:
                    raise UserError(f"{self.path}: the {key} of {info.name} differs from its digest; {REMEDY}")

    def _read_attributes(self) -> None:
        attrs = self._file.attrs
        if attrs.get("schema") != SCHEMA:
            raise UserError(f"{self.path}: this HDF5 file is no store of this package; {REMEDY}")
        if attrs.get("version") != VERSION:
            raise UserError(f"{self.path}: store version {attrs.get('version')}, expected {VERSION}; {REMEDY}")
        missing = [key for key in ROOT_ATTRIBUTES if key not in attrs] + ["cases"] * ("cases" not in self._file)
        if missing:
            raise UserError(f"{self.path}: this store lacks {', '.join(missing)}; {REMEDY}")
        self.kind: str = attrs["kind"]
        self.source: str = attrs["source"]
        self.dimensions = int(attrs["dimensions"])
        self.classes = tuple(str(name) for name in attrs["classes"])
        self.labeled_order = tuple(str(group) for group in attrs["labeled_order"])
        self.source_sha256: str = attrs["source_sha256"]
        self.citation: str = attrs["citation"]
        self.license: str = attrs["license"]

    def _info(self, name: str) -> CaseInfo:
        case = self._file["cases"][name]
        geometry = [field.name for field in fields(Geometry)]
        required = ["group", "split", "image_sha256"] + geometry * ("spacing" in case.attrs)
        missing = [key for key in required if key not in case.attrs]
        if missing or "image" not in case:
            raise UserError(f"{self.path}: {name} lacks {', '.join(missing or ['its image'])}; {REMEDY}")
        return CaseInfo(
            name=name,
            group=case.attrs["group"],
            split=case.attrs["split"],
            shape=case["image"].shape,
            labeled="label" in case,
            geometry=read_geometry(case.attrs),
        )

    def _case(self, name: str) -> CaseInfo:
        if name not in self._cases:
            raise UserError(f"{self.path}: there is no case {name}")
        return self._cases[name]

    def _array(self, name: str, key: str) -> np.ndarray:
        self._case(name)
        try:
            return self._file["cases"][name][key][()]
        except OSError as error:
            raise self._damaged(name, key) from error

    def _damaged(self, name: str, key: str) -> UserError:
        return UserError(f"{self.path}: cannot read the {key} of {name}, the file is damaged; {REMEDY}")


def read_geometry(attrs: Any) -> Geometry | None:
    """Return the geometry that a case's HDF5 attributes hold, or None."""
    if "spacing" not in attrs:
        return None
    return Geometry(**{f.name: tuple(attrs[f.name].tolist()) for f in fields(Geometry)})


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
