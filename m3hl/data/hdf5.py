"""HDF5 files that are whole or absent, also on a full disk."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from m3hl.files.atomic import atomic


@contextmanager
def new_hdf5(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that appears at `path` when the block ends without an error.

    Args:
        path: the file.
        options: of `h5py.File`.

    Raises:
        UserError: it cannot be written.
    """
    with atomic(path) as part, Patient(part, "w+b") as sink:
        with h5py.File(sink, "w", **options) as file:
            yield file
        if sink.failure:
            raise sink.failure


class Patient(io.FileIO):
    """A file that keeps its first failure for later: HDF5 ends the process where it cannot write.

    Attributes:
        failure: what went wrong; nothing is written after it.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes, all of them unless something has failed."""
        rest = memoryview(data)
        try:
            while self.failure is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the length, unless something has failed."""
        try:
            return super().truncate(size) if self.failure is None else 0
        except OSError as error:
            self.failure = error
            return 0
