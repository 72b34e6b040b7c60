"""The list of a data set's files with their digests: what `download` writes and `preprocess` relies on."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from m3hl.errors import UserError
from m3hl.files.atomic import write_json
from m3hl.files.digests import relative, sha256_file, sha256_json
from m3hl.files.reading import read_json
from m3hl.progress import Progress

AGAIN = "run m3hl download again (snakemake --forcerun download)"


class FileRecord(BaseModel):
    """One file: its path relative to the inventory's folder, its size in bytes, and its digest."""

    path: str
    bytes: int
    sha256: str


class Inventory(BaseModel):
    """A data set's files.

    Attributes:
        dataset: name of the data set in the configuration.
        kind, source: data set module, and where its images come from.
        folder: what the files' paths are relative to.
        license, citation: terms of use, and what to cite.
        files: sorted by path.
    """

    dataset: str
    kind: str
    source: str
    folder: Path
    license: str
    citation: str
    files: list[FileRecord]

    def save(self, path: Path) -> None:
        """Write the inventory as JSON; phantoms lie beside it and move with it."""
        folder = relative(self.folder, path.parent) if self.source == "phantom" else self.folder
        write_json(path, self.model_dump(mode="json") | {"folder": str(folder)})

    def digest(self) -> str:
        """Return one digest of all files: names, sizes and contents, not where they lie."""
        return sha256_json([record.model_dump() for record in self.files])


def load_inventory(path: Path) -> Inventory:
    """Return the inventory in a JSON file; raises `UserError` when it is missing or something else."""
    values = read_json(path, "list of files")
    try:
        inventory = Inventory.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: this is no list of files of m3hl download; make it again") from error
    if inventory.source == "phantom":
        inventory.folder = path.parent / inventory.folder
    return inventory


def record_files(folder: Path, paths: Iterable[Path], label: str) -> list[FileRecord]:
    """Return size and digest of every file, sorted by path; a path that is given twice counts once."""
    unique = sorted({relative(path, folder): path for path in paths}.items())
    progress = Progress(label, len(unique))
    records = []
    for done, (name, path) in enumerate(unique, start=1):
        records.append(FileRecord(path=name, bytes=path.stat().st_size, sha256=file_digest(path)))
        progress.update(done)
    return records


def file_digest(path: Path) -> str:
    """Return a file's SHA-256; raises `UserError` when it cannot be read."""
    try:
        return sha256_file(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read the file ({error.strerror}); check its permissions") from error


class Verifier:
    """Compares files with the inventory, each at most once.

    Args:
        inventory: what the files must be.
        folder: where they lie now.
    """

    def __init__(self, inventory: Inventory, folder: Path) -> None:
        self._folder = folder
        self._unverified = {record.path: record for record in inventory.files}
        self._digests = {record.path: record.sha256 for record in inventory.files}

    def digest(self, path: Path) -> str:
        """Return the digest that the inventory has of a file; raises `UserError` when it is not listed."""
        name = relative(path, self._folder)
        if name not in self._digests:
            raise UserError(f"{path}: this file is not in the list of files; {AGAIN}")
        return self._digests[name]

    def verify(self, paths: Iterable[Path]) -> None:
        """Raise `UserError` for the first file that is missing or not the one that was listed."""
        for path in paths:
            expected = self.digest(path)
            record = self._unverified.pop(relative(path, self._folder), None)
            if record is None:
                continue
            if not path.is_file():
                raise UserError(f"{path}: the file was there at download and is gone; {AGAIN}")
            size = path.stat().st_size
            if size != record.bytes:
                raise UserError(
                    f"{path}: {size} bytes, expected {record.bytes}; the file changed since download: "
                    f"if that is right, {AGAIN}"
                )
            if file_digest(path) != expected:
                raise UserError(
                    f"{path}: its SHA-256 differs from the list of files; the file changed since download: "
                    f"if that is right, {AGAIN}"
                )
