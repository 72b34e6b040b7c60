"""Results count as made where their records vouch for them, whatever their files' times are.

Snakemake takes a result for outdated when an input is newer, also when it is only touched or copied; and of
results that were copied or renamed it remembers neither source nor configuration. So before it looks, times are
set: a result is made as new as its inputs where all digests fit, and, if Snakemake does not remember it, older
than these where other source or configuration than now has made it.
"""

import os
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from m3hl.config.experiment import Config, parse_config
from m3hl.data.inventory import load_inventory
from m3hl.data.sources import own_files
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.files.reading import read_json
from m3hl.provenance.fingerprint import sources
from m3hl.provenance.records import RECORDS, RUN_RECORD, lies_right
from m3hl.provenance.stages import excerpt, modules

BENCHMARKS = {
    "download": "../benchmarks/data/{}.download.tsv",
    "preprocess": "../benchmarks/data/{}.preprocess.tsv",
    "train": "logs/train.tsv",
    "evaluate": "logs/evaluate.tsv",
    "report": "benchmarks/report.tsv",
}
"""From a record to Snakemake's own measurement of the stage, which counts as a result of it."""
MILLISECOND = 10**6


class Adoption:
    """A study's results, as they lie in a folder.

    Args:
        results: results/<name>.
        study: what would be made.
        memory: Snakemake's folder of metadata.
    """

    def __init__(self, results: Path, study: Config, memory: Path) -> None:
        self.results, self.study = results, study
        self._known = remembered(memory)
        self._digest = cache(sha256_file)
        self._sources = cache(lambda *of: sources(modules(study, *of)))

    def set_times(self) -> None:
        """Set the times of all results, stage by stage."""
        for stage, pattern in RECORDS.items():
            for record in sorted(self.results.glob(pattern)):
                # A damaged record says nothing, nor do files that belong to somebody else.
                with suppress(UserError, OSError, KeyError, TypeError, AttributeError, ValueError):
                    self._look_at(stage, record)

    def _look_at(self, stage: str, record: Path) -> None:
        values = read_json(record, "record")
        inputs, outputs = (self._files(record, values["seal"][key]) for key in ("inputs", "outputs"))
        if stage == "download":
            inputs = self._own_files(record)
        benchmark = record.parent / BENCHMARKS[stage].format(record.with_suffix("").stem)
        made = [record, *outputs, *(path for path in (benchmark, *own_times(outputs)) if path.is_file())]
        used = [changed_at(path) for path in inputs]
        if record.as_posix() not in self._known and not self._same_work(stage, record, values):
            for path in made:
                move(path, min([changed_at(path), *(time - MILLISECOND for time in used)]))
            if not used:
                # Nothing could be newer, so Snakemake must miss something.
                record.replace(record.with_name(f"{record.name}.outdated"))
        elif used and min(map(changed_at, made)) < max(used) and self._unchanged(inputs | outputs):
            for path in made:
                move(path, max(changed_at(path), max(used)))

    def _files(self, record: Path, digests: dict[str, str]) -> dict[Path, str]:
        """Return the digests by path; what does not lie in the results is no business of theirs."""
        paths = {Path(os.path.normpath(record.parent / name)): digest for name, digest in digests.items()}
        return {path: digest for path, digest in paths.items() if path.is_relative_to(self.results)}

    def _own_files(self, record: Path) -> dict[Path, str]:
        """Return the digests of the scans of a user's own that a list holds."""
        listed = load_inventory(record.with_suffix(""))
        own = {path.resolve() for path in own_files(self.study.dataset(subject(record, self.results)[0]))}
        files = {listed.folder / file.path: file.sha256 for file in listed.files}
        return {path: digest for path, digest in files.items() if path.resolve() in own}

    def _same_work(self, stage: str, record: Path, values: dict[str, Any]) -> bool:
        """Return whether a stage would read the same configuration and run the same source now."""
        seal = values["seal"]
        # The name says only where results lie.
        before = parse_config(seal["config"] | {"name": self.study.name})
        if stage == "report":
            dataset = method = None
            same = before == self.study
        else:
            dataset, method = subject(record, self.results)
            same = excerpt(before, stage, dataset, method) == excerpt(self.study, stage, dataset, method)
        if stage in ("train", "evaluate"):
            run = read_json(record.with_name(RUN_RECORD), "record")
            same = same and lies_right(record.relative_to(self.results), run)
        now = self._sources(stage, dataset, method)
        return same and all(seal["sources"].get(name) == digest for name, digest in now.items())

    def _unchanged(self, digests: dict[Path, str]) -> bool:
        return all(self._digest(path) == digest for path, digest in digests.items())


def remembered(memory: Path) -> set[str]:
    """Return the files that Snakemake has metadata of; it names these by the files' paths in base 64."""
    names: set[str] = set()
    for folder, _, files in os.walk(memory):
        # A path that is too long for a name is cut into folders, which begin with @.
        start = "".join(part.removeprefix("@") for part in Path(folder).relative_to(memory).parts)
        for name in files:
            with suppress(ValueError):
                names.add(urlsafe_b64decode(start + name).decode())
    return names


def subject(record: Path, results: Path) -> tuple[str, str | None]:
    """Return the data set and the method that a record is about, from its place in the results."""
    parts = record.relative_to(results).parts
    return (record.with_suffix("").stem, None) if parts[0] == "data" else (parts[1], parts[2])


def own_times(outputs: Iterable[Path]) -> list[Path]:
    """Return the files in which Snakemake keeps the times of folders that are results as a whole."""
    return [folder / ".snakemake_timestamp" for folder in {path.parent for path in outputs}]


def changed_at(path: Path) -> int:
    """Return when a file was changed last, in nanoseconds."""
    return path.stat().st_mtime_ns


def move(path: Path, time: int) -> None:
    """Set when a file was changed last, in nanoseconds."""
    os.utime(path, ns=(time, time))
