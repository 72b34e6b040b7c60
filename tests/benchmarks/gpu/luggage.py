"""What comes to the machine and goes from it again: data sets, records, checkpoints, weights."""

import logging
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from m3hl.files.atomic import make_folder
from m3hl.provenance.records import RUN
from tests.benchmarks.gpu.jobs import Job
from tests.benchmarks.gpu.packing import unpack
from tests.benchmarks.gpu.pieces import bundles, cut, join, require_whole

log = logging.getLogger(__name__)

STORE = "store-"
RECORDS = ("run.json", "history.csv", "evaluation.json", "metrics.csv", "predictions.h5")
PIECE_BYTES = 15 * 2**20
OTHER_BYTES = "the same arrays; another HDF5 or zlib wrote them in other bytes"


class Luggage:
    """Bundles that are unpacked once, whether they were brought or made here.

    Args:
        folder: where everything lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen, self._out = folder, folder / "seen", folder / "out"
        make_folder(self._seen)

    def receive(self, brought: Path, stores: Path) -> None:
        """Unpack what has come whole and is new here: data sets into `stores`, all else to where it was."""
        # Stores may come piece by piece; without its records or its checkpoint a run would begin anew.
        require_whole(brought, ("results", "state"))
        for (name, digest), pieces in bundles(brought).items():
            mark = self._seen / digest
            if mark.exists():
                continue
            with TemporaryDirectory(dir=self._folder) as scratch:
                whole = Path(scratch) / "whole"
                join(pieces, whole)
                if name.startswith(STORE):
                    store = stores / f"{name.removeprefix(STORE)}.h5"
                    log.info("%s: %s", store, "the same file" if unpack(whole, store) else OTHER_BYTES)
                else:
                    self._extract(whole, Path(scratch) / "files")
            mark.touch()

    def leave(self, jobs: list[Job], new: list[Job]) -> None:
        """Pack all records, what unfinished runs of `jobs` go on from, and the weights of the new ones, halved."""
        shutil.rmtree(self._out, ignore_errors=True)
        records = [file for name in RECORDS for file in sorted(self._folder.glob(f"results/*/{RUN}{name}"))]
        self._bundle("results", [*records, self._folder / "speed.json"])
        self._bundle("state", [file for job in jobs if not job.evaluated for file in state(job)])
        for job in new:
            with TemporaryDirectory(dir=self._folder) as scratch:
                small = Path(scratch) / "small"
                save_halved(job.folder / "best.pt", small)
                cut(small, self._out, f"weights.{job.name.replace('/', '.')}", PIECE_BYTES)

    def _extract(self, whole: Path, scratch: Path) -> None:
        with tarfile.open(whole) as archive:
            for member in archive:
                here = self._folder / member.name
                # Bundles of several calls may come together, in any order.
                if not here.exists() or here.stat().st_mtime < member.mtime:
                    # Beside its place first: a call may be killed at any time.
                    archive.extract(member, scratch, filter="data")
                    make_folder(here.parent)
                    (scratch / member.name).replace(here)

    def _bundle(self, name: str, files: Iterable[Path]) -> None:
        there = [file for file in files if file.is_file()]
        if not there:
            return
        with TemporaryDirectory(dir=self._folder) as scratch:
            whole = Path(scratch) / "whole"
            with tarfile.open(whole, "w") as archive:
                for file in there:
                    archive.add(file, file.relative_to(self._folder))
            _, digest = cut(whole, self._out, name, PIECE_BYTES)
        (self._seen / digest).touch()


def state(job: Job) -> list[Path]:
    """Return the files that an unfinished run goes on from."""
    if job.trained:
        return [job.folder / "best.pt"]
    return [file for folder in job.work.glob("*") for file in (folder / "last.pt", folder / "identity.json")]


def save_halved(weights: Path, out: Path) -> None:
    """Write best.pt again with its kernels in half precision; it is read like best.pt itself."""
    # Here: torch takes seconds to load.
    from m3hl.files.tensors import load_tensors, save_tensors

    value = load_tensors(weights, "weights file")
    # Biases, and the scales and statistics of batch norm, which can be large, are a thousandth of it.
    network = {key: one.half() if one.ndim > 1 else one for key, one in value["network"].items()}
    save_tensors(out, value | {"network": network})
