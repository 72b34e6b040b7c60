"""The chain of a study's results, checked link by link: raw files, stores, runs, metrics, report."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from m3hl.config import outside
from m3hl.data.inventory import Verifier, load_inventory
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.files.digests import relative, sha256_file
from m3hl.files.reading import read_json
from m3hl.provenance.fingerprint import ROOT, file_digest
from m3hl.provenance.records import RECORDS, RUN, RUN_RECORD, is_as_written, lies_right

EVERY_RECORD = (*RECORDS.values(), f"{RUN}?*-evaluation.json")
"""Evaluations of other splits than the test split are made by hand."""
RESULTS = (
    "data/*.h5",
    f"{RUN}*.pt",
    f"{RUN}*.csv",
    f"{RUN}*.h5",
    "report.html",
    "table1.csv",
    "tables/[!.]*",
    "figures/[!.]*",
)
NOT_PUBLISHED = (".h5", ".pt", ".html", ".png", ".svg")
"""What a published copy may lack: volumes and weights, and the page and pictures, which show scans."""


class Seal(BaseModel):
    """What `m3hl.provenance.seal` has written."""

    stage: str
    sources: dict[str, str]
    inputs: dict[str, str]
    outputs: dict[str, str]


class Sealed(BaseModel):
    """A record, of which only the seal is read."""

    seal: Seal


class Chain:
    """The results of a study.

    Attributes:
        folder: results/<name>.
        files: how many files have been compared with a digest.
        absent: how many raw files are not on this machine.
        left_out: what records say of the files that a published copy lacks, by name.
        edited: source files that have changed since a stage ran, by stage; the chain holds nevertheless.
    """

    def __init__(self, folder: Path, published: bool = False) -> None:
        self.folder, self.published = folder, published
        self.files, self.absent = 0, 0
        self.left_out: dict[str, str] = {}
        self.edited: dict[str, set[str]] = {}
        self._vouched: set[str] = set()
        self._digest = cache(self._read)

    def problems(self) -> Iterator[str]:
        """Yield a line for each thing that does not fit.

        Raises:
            UserError: the folder holds no results.
        """
        records = [path for pattern in EVERY_RECORD for path in sorted(self.folder.glob(pattern))]
        if not records:
            raise UserError(f"{self.folder}: there are no records of results here; name a folder results/<name>")
        for path in sorted(self.folder.glob("data/*.json")):
            yield from self._raw_files(path)
        for path in records:
            yield from self._record(path)
        for path in sorted(self.folder.glob("data/*.h5")):
            yield from self._arrays(path)
        for path in (path for pattern in RESULTS for path in sorted(self.folder.glob(pattern))):
            if self._name(path) not in self._vouched:
                yield f"{self._name(path)}: no record says who made it"
        for name in sorted(self.left_out.keys() - self._vouched):
            yield f"{name}: it is left out, and no record says who made it"

    def _raw_files(self, path: Path) -> Iterator[str]:
        """Compare the files that a data set was made of, as far as they are on this machine."""
        try:
            inventory = load_inventory(path)
        except UserError as error:
            yield str(error)
            return
        verifier = Verifier(inventory, inventory.folder)
        for file in (inventory.folder / record.path for record in inventory.files):
            if not file.is_file():
                self.absent += 1
            else:
                self.files += 1
                try:
                    verifier.verify([file])
                except UserError as error:
                    yield str(error)

    def _record(self, path: Path) -> Iterator[str]:
        try:
            values = read_json(path, "record")
            seal = Sealed.model_validate(values).seal
        except UserError as error:
            yield str(error)
            return
        except ValidationError:
            yield f"{self._name(path)}: this record has no seal: it is damaged, or of an earlier version"
            return
        if not is_as_written(values):
            yield f"{self._name(path)}: this record has been edited since {seal.stage} wrote it"
        if path.name == RUN_RECORD and not lies_right(path.relative_to(self.folder), values):
            yield f"{self._name(path)}: this record is of another run than the one whose place it takes"
        changed = {name for name, digest in seal.sources.items() if digest != current(name)}
        if changed:
            self.edited.setdefault(seal.stage, set()).update(changed)
        for files, what in (
            (seal.outputs, "has changed since"),
            (seal.inputs, "is another now than the one used by"),
        ):
            for name, expected in files.items():
                file = Path(os.path.normpath(path.parent / name))
                found = self._digest(file)
                if self.published and file.suffix in NOT_PUBLISHED and not os.path.lexists(file):
                    # What two records say of it must agree all the same.
                    found = self.left_out.setdefault(self._name(file), expected)
                if found is None:
                    yield f"{self._name(file)}: the file is gone, {seal.stage} ({self._name(path)}) had it"
                elif found != expected:
                    yield f"{self._name(file)}: {what} {seal.stage} ({self._name(path)})"
                if files is seal.outputs:
                    self._vouched.add(self._name(file))

    def _arrays(self, path: Path) -> Iterator[str]:
        try:
            with Store(path) as store:
                store.verify()
        except UserError as error:
            yield str(error)

    def _name(self, path: Path) -> str:
        return relative(path, self.folder)

    def _read(self, file: Path) -> str | None:
        try:
            digest = sha256_file(file) if file.is_file() else None
        except (OSError, ValueError):
            return None
        self.files += digest is not None
        return digest


def current(name: str) -> str | None:
    """Return the digest of a source file as it is now, None where it is gone."""
    try:
        path = outside.labeled(name) if outside.is_label(name) else ROOT / name
        own = outside.is_label(name) or (ROOT / name).resolve().is_relative_to(ROOT)
        return file_digest(path) if own and path and path.is_file() else None
    except (ValueError, SyntaxError):
        return None
