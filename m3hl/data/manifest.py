"""What is known about every public file: where it was published, its size, and digests of file and arrays."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from m3hl.data.table import read_table

FOLDER = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class Entry:
    """One public HDF5 file.

    Attributes:
        path: where it lies in the public repository.
        bytes: size of the file.
        sha256: digest of the file.
        shape: voxels of its arrays.
        image_sha256: digest of the float32 image in C order.
        label_sha256: digest of the uint8 label in C order.
    """

    path: str
    bytes: int
    sha256: str
    shape: tuple[int, ...]
    image_sha256: str
    label_sha256: str


def has_manifest(kind: str) -> bool:
    """Return whether public files of a data set are known."""
    return (FOLDER / f"{kind}.csv").is_file()


@cache
def read_manifest(kind: str) -> dict[str, Entry]:
    """Return the entries of a data set by the public file's stem (slice, volume or scan)."""
    rows = read_table(
        FOLDER / f"{kind}.csv",
        "manifest",
        ("case", "path", "bytes", "sha256", "shape", "image_sha256", "label_sha256"),
    )
    return {
        row["case"]: Entry(
            path=row["path"],
            bytes=int(row["bytes"]),
            sha256=row["sha256"],
            shape=tuple(int(n) for n in row["shape"].split("x")),
            image_sha256=row["image_sha256"],
            label_sha256=row["label_sha256"],
        )
        for row in rows
    }
