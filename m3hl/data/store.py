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
                            shrink                   voxels along each axis that became one; absent = 1, 1, 1
                            orientation, spacing     as in `Frame`; absent = each case has its file's
                            images                   names of a case's images (image_1, image_2, …); absent = one
                            remarks                  what is odd in the data set; absent = nothing
    /cases                  in stored order: train (labeled order, then the unlabeled), val, test
    /cases/<name>    attrs  group, split, image_sha256, label_sha256 (digests of the arrays, C order; of several
                            images image_1_sha256, …)
                            spacing, origin, direction, axes, offset, size   as in `Geometry`; absent = unknown
                            flipped                  as in `Geometry`; absent = no axis
                            levels                   as in `Case`; absent = unknown
                            notes                    what was done to its files; absent = nothing
    /cases/<name>/image     float32 (Z, H, W) or (X, Y, Z); of several images image_1, image_2, … in its place
    /cases/<name>/label     uint8, same shape; absent = the case has no label; where images are shrunk or
                            resampled, those of val and test have the original's shape

The same input gives the same bytes: no dates, no paths, fixed order. `m3hl.data.store_writer` writes it.
"""

import hashlib
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, get_args

import h5py
import numpy as np

from m3hl.data.case import Geometry
from m3hl.data.channels import names, together
from m3hl.data.datasets.files import Split
from m3hl.data.frame import Frame
from m3hl.errors import UserError

SCHEMA, VERSION = "m3hl-store", 1
ROOT_ATTRIBUTES = (
    "kind source dimensions classes labeled_order source_sha256 citation license".split()  # noqa: SIM905
)
IMAGES, LABELS = np.float32, np.uint8
"""Types of the arrays."""
GEOMETRY = tuple(field.name for field in fields(Geometry))
MOST_SHRINK = 64
REMEDY = "make it again with m3hl preprocess"


@dataclass(frozen=True)
class CaseInfo:
    """What is known about a case without reading its arrays.

    Attributes:
        name, group, split: as in `CaseFiles`.
        shape: voxels, (Z, H, W) or (X, Y, Z).
        labeled: whether the case has a label map.
        geometry: None where the source does not tell it.
        notes: what was done to its files on the way into the store, one phrase each.
        levels: as in `Case`.
    """

    name: str
    group: str
    split: Split
    shape: tuple[int, ...]
    labeled: bool
    geometry: Geometry | None
    notes: tuple[str, ...] = ()
    levels: tuple[float, ...] | None = None


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
        shrink: voxels along each axis that became one; None where images are as they were.
        frame: the geometry that all cases were brought to.
        images: names of each case's images where there are several.
        remarks: what is odd in the data set, one sentence each.

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
            self._require_known_groups()
        except UserError:
            self.close()
            raise
        except Exception as error:  # there is no end to the ways in which a damaged file fails
            self.close()
            raise UserError(f"{self.path}: cannot read this store, the file is damaged; {REMEDY}") from error

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

    @property
    def image_keys(self) -> tuple[str, ...]:
        """Return what the arrays of each case's images are called."""
        return self.images or ("image",)

    def image(self, name: str) -> np.ndarray:
        """Return a case's image, float32, (Z, H, W) or (X, Y, Z); of several images (C, *)."""
        return together([self._array(name, key) for key in self.image_keys])

    def label(self, name: str) -> np.ndarray | None:
        """Return a case's label map, uint8; None for a case without a label.

        It has the image's shape, or in "val" and "test" of a store with `shrink` or a spacing the original's.
        """
        return self._array(name, "label") if self._case(name).labeled else None

    def planes(self, name: str, key: str, first: int, last: int) -> np.ndarray:
        """Return planes first … last − 1 along axis 0 of a case's "label", or of one of the `image_keys`.

        Other than through HDF5's own filters, several threads can read at a time.
        """
        dataset = self._file["cases"][name][key]
        depth = dataset.chunks[0]
        chunks = []
        for at in range(first - first % depth, last, depth):
            try:
                _, packed = dataset.id.read_direct_chunk((at, 0, 0))
                chunks.append(np.frombuffer(zlib.decompress(packed), dataset.dtype).reshape(dataset.chunks))
            except (OSError, ValueError, MemoryError, RuntimeError, zlib.error) as error:
                raise self._damaged(name, key) from error
        return np.concatenate(chunks)[first % depth :][: last - first]

    def require_frame(self, frame: Frame) -> None:
        """Raise `UserError` unless the store's cases are in the geometry that a network was trained in."""
        if self.frame != frame:
            raise UserError(
                f"{self.path}: the store has {self.frame.described()}, the weights want {frame.described()}; "
                "train the run again"
            )

    def require(
        self,
        dimensions: int,
        classes: tuple[str, ...],
        shrink: tuple[int, ...] | None = None,
        images: tuple[str, ...] = (),
    ) -> None:
        """Raise `UserError` unless the store's images and classes are those that a run is made for."""
        if self.images != images:
            ours, theirs = (
                f"images {', '.join(which)}" if which else "one image" for which in (self.images, images)
            )
            raise UserError(f"{self.path}: each case in the store has {ours}, the run wants {theirs}; {REMEDY}")
        if self.shrink != shrink:
            raise UserError(f"{self.path}: the store has shrink {self.shrink}, the run wants {shrink}; {REMEDY}")
        if (self.dimensions, self.classes) != (dimensions, classes):
            raise UserError(
                f"{self.path}: the store has {self.dimensions}D images of {', '.join(self.classes)}, the run "
                f"wants {dimensions}D and {', '.join(classes)}; {REMEDY}"
            )

    def verify(self) -> None:
        """Compare every stored array with its digest; raises `UserError` for the first that differs."""
        for info in self._cases.values():
            for key in (*self.image_keys, "label") if info.labeled else self.image_keys:
                expected = self._file["cases"][info.name].attrs.get(f"{key}_sha256")
                if not is_text(expected) or digest(self._array(info.name, key)) != expected:
                    raise UserError(f"{self.path}: the {key} of {info.name} differs from its digest; {REMEDY}")

    def _read_attributes(self) -> None:
        attrs = self._file.attrs
        if attrs.get("schema") != SCHEMA:
            raise UserError(f"{self.path}: this HDF5 file is no store of this package; {REMEDY}")
        if attrs.get("version") != VERSION:
            raise UserError(f"{self.path}: store version {attrs.get('version')}, expected {VERSION}; {REMEDY}")
        missing = [key for key in ROOT_ATTRIBUTES if key not in attrs]
        missing += ["cases"] * (member(self._file, "cases", h5py.Group) is None)
        if missing:
            raise UserError(f"{self.path}: this store lacks {', '.join(missing)}; {REMEDY}")
        wrong = [key for key in ROOT_ATTRIBUTES if not ATTRIBUTES.get(key, is_text)(attrs[key])]
        if wrong:
            raise UserError(f"{self.path}: {', '.join(wrong)} of this store cannot be; {REMEDY}")
        self.kind: str = attrs["kind"]
        self.source: str = attrs["source"]
        self.dimensions = int(attrs["dimensions"])
        self.classes = tuple(str(name) for name in attrs["classes"])
        self.labeled_order = tuple(str(group) for group in attrs["labeled_order"])
        self.source_sha256: str = attrs["source_sha256"]
        self.citation: str = attrs["citation"]
        self.license: str = attrs["license"]
        shrink = attrs.get("shrink")
        if shrink is not None and not (self.dimensions == 3 and is_shrink(shrink)):
            raise UserError(f"{self.path}: shrink of this store cannot be; {REMEDY}")
        self.shrink = None if shrink is None else tuple(shrink.tolist())
        orientation, spacing = attrs.get("orientation"), attrs.get("spacing")
        if orientation is not None and not is_orientation(orientation):
            raise UserError(f"{self.path}: orientation of this store cannot be; {REMEDY}")
        if spacing is not None and not (self.dimensions == 3 and shrink is None and is_spacing(spacing)):
            raise UserError(f"{self.path}: spacing of this store cannot be; {REMEDY}")
        images = attrs.get("images", np.array([]))
        if not is_list_of_texts(images) or tuple(images) != names(len(images)):
            raise UserError(f"{self.path}: images of this store cannot be; {REMEDY}")
        self.images = tuple(map(str, images))
        remarks = attrs.get("remarks", np.array([]))
        if not is_list_of_texts(remarks):
            raise UserError(f"{self.path}: remarks of this store cannot be; {REMEDY}")
        self.remarks = tuple(map(str, remarks))
        self.frame = Frame(orientation, None if spacing is None else tuple(spacing.tolist()))

    def _info(self, name: str) -> CaseInfo:
        case = member(self._file["cases"], name, h5py.Group)
        if case is None:
            raise UserError(f"{self.path}: {name} lacks its arrays; {REMEDY}")
        whole = [name for name in GEOMETRY if name != "flipped"]
        digests = [f"{key}_sha256" for key in self.image_keys]
        required = ["group", "split", *digests] + whole * ("spacing" in case.attrs)
        missing = [key for key in required if key not in case.attrs]
        links = {key: case.get(key, getlink=True) for key in (*self.image_keys, "label")}
        missing = missing or [f"its {key}" for key in self.image_keys if links[key] is None]
        if missing:
            raise UserError(f"{self.path}: {name} lacks {', '.join(missing)}; {REMEDY}")
        image = member(case, self.image_keys[0], h5py.Dataset)
        group, split = case.attrs["group"], case.attrs["split"]
        shape = () if image is None else image.shape
        measured = is_text(split) and split != "train"
        for key in (key for key, link in links.items() if link is not None):
            array = member(case, key, h5py.Dataset)
            if not is_whole(array, LABELS if key == "label" else IMAGES) or shape != (
                self._seen(array.shape, case.attrs) if measured and key == "label" else array.shape
            ):
                raise UserError(f"{self.path}: the {key} of {name} is no array as a store has them; {REMEDY}")
        if not (is_text(group) and is_text(split) and split in get_args(Split)):
            raise UserError(f"{self.path}: group or split of {name} cannot be; {REMEDY}")
        original = case["label"].shape if measured and links["label"] is not None else shape
        if self.frame.spacing and not measured:
            original = tuple(np.asarray(case.attrs["size"]).tolist())
        possible = "spacing" not in case.attrs or is_possible(case.attrs, original)
        if not possible or (self.frame.spacing and self._seen(original, case.attrs) != shape):
            raise UserError(f"{self.path}: the geometry of {name} cannot be; {REMEDY}")
        labeled = links["label"] is not None
        levels = case.attrs.get("levels")
        if levels is not None:
            levels = tuple(float(value) for value in levels)
        notes = case.attrs.get("notes", np.array([]))
        if not is_list_of_texts(notes):
            raise UserError(f"{self.path}: the notes of {name} cannot be; {REMEDY}")
        return CaseInfo(
            name, group, split, shape, labeled, read_geometry(case.attrs), tuple(map(str, notes)), levels
        )

    def _seen(self, shape: tuple[int, ...], attrs: Any) -> tuple[int, ...]:
        """Return the shape in which a network sees a case whose original has a shape and these attributes."""
        if self.frame.spacing:
            return self.frame.shape(shape, tuple(attrs["spacing"].tolist()))
        return tuple(-(-n // f) for n, f in zip(shape, self.shrink or (1, 1, 1), strict=True))

    def _require_known_groups(self) -> None:
        unknown = set(self.labeled_order) - {case.group for case in self.cases("train") if case.labeled}
        if unknown:
            raise UserError(f"{self.path}: labeled_order names {min(unknown)}, which has no label; {REMEDY}")

    def _case(self, name: str) -> CaseInfo:
        if name not in self._cases:
            raise UserError(f"{self.path}: there is no case {name}")
        return self._cases[name]

    def _array(self, name: str, key: str) -> np.ndarray:
        self._case(name)
        try:
            return self._file["cases"][name][key][()]
        except (OSError, MemoryError) as error:
            raise self._damaged(name, key) from error

    def _damaged(self, name: str, key: str) -> UserError:
        return UserError(f"{self.path}: cannot read the {key} of {name}, the file is damaged; {REMEDY}")


def is_text(value: Any) -> bool:
    """Return whether an attribute is a text."""
    return isinstance(value, str)


def is_shrink(value: Any) -> bool:
    """Return whether an attribute is a number of voxels for each axis."""
    if not (isinstance(value, np.ndarray) and value.shape == (3,) and value.dtype.kind in "iu"):
        return False
    return 1 <= value.min() <= value.max() <= MOST_SHRINK


def is_orientation(value: Any) -> bool:
    """Return whether an attribute names the direction of three different axes, as "LPS" does."""
    return is_text(value) and len(value) == 3 and all(set(pair) & set(value) for pair in ("LR", "PA", "SI"))


def is_spacing(value: Any) -> bool:
    """Return whether an attribute is a distance for each axis."""
    if not (isinstance(value, np.ndarray) and value.shape == (3,) and value.dtype.kind == "f"):
        return False
    return bool(np.isfinite(value).all() and value.min() > 0)


def is_list_of_texts(value: Any) -> bool:
    """Return whether an attribute is a list of texts, maybe an empty one."""
    return isinstance(value, np.ndarray) and value.ndim == 1 and all(map(is_text, value))


ATTRIBUTES = {
    "dimensions": lambda value: value in (2, 3),
    "classes": lambda value: is_list_of_texts(value) and 0 < len(value) < 256,
    "labeled_order": is_list_of_texts,
}
"""What holds for the root's attributes; the others are texts."""


def member(group: h5py.Group, name: str, kind: type) -> Any:
    """Return a group's member, or None where it is none of this kind or lies in another place or file."""
    # A link could lead to any HDF5 file of the machine.
    link = group.get(name, getlink=True)
    found = group[name] if isinstance(link, h5py.HardLink) else None
    return found if isinstance(found, kind) else None


def is_whole(array: h5py.Dataset | None, dtype: type) -> bool:
    """Return whether a case's array is as `write_store` writes it, with all of its chunks in the file."""
    if array is None or array.dtype != dtype or len(array.shape) != 3 or 0 in array.shape:
        return False
    shape = array.shape
    if array.is_virtual or not array.chunks or array.chunks[1:] != shape[1:]:
        return False
    properties = array.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    # A header may promise any number of voxels; what a file holds is bounded.
    return filters == [h5py.h5z.FILTER_DEFLATE] and array.id.get_num_chunks() == -(-shape[0] // array.chunks[0])


def is_possible(attrs: Any, shape: tuple[int, ...]) -> bool:
    """Return whether an array of a shape can lie as the geometry in its attributes says."""
    values = {name: np.asarray(attrs[name]) for name in GEOMETRY if name in attrs}
    for name, value in values.items():
        if value.shape != ((9,) if name == "direction" else (3,)):
            return False
        if value.dtype.kind not in ("b" if name == "flipped" else "if"):
            return False
    geometry = read_geometry(attrs)
    if sorted(geometry.axes) != [0, 1, 2]:
        return False
    ends = zip(geometry.offset, shape, geometry.size, strict=True)
    return (
        bool(np.isfinite([*geometry.spacing, *geometry.origin, *geometry.direction]).all())
        and min(geometry.spacing) > 0
        and all(0 <= at <= at + n <= size for at, n, size in ends)
    )


def read_geometry(attrs: Any) -> Geometry | None:
    """Return the geometry that a case's HDF5 attributes hold, or None."""
    if "spacing" not in attrs:
        return None
    return Geometry(**{name: tuple(attrs[name].tolist()) for name in GEOMETRY if name in attrs})


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
