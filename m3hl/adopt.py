"""Results from elsewhere count as made, where their records say that they are what would be made here.

Snakemake remembers what it has made by path. Results that were copied or renamed it judges by their files' times
alone, which a copy may have lost. So these times are set from the records: not older than what a result was made
of where all of it is unchanged, older where source or configuration are others now.
"""

import os
from base64 import urlsafe_b64decode
from contextlib import suppress
from pathlib import Path
from typing import Any

from m3hl.config.experiment import Config, parse_config
from m3hl.config.stages import excerpt, modules
from m3hl.errors import UserError
from m3hl.files import read_json, sha256_file
from m3hl.fingerprint import sources

RECORDS = {
    "download": "data/*.json.provenance",
    "preprocess": "data/*.h5.provenance",
    "train": "runs/*/*/*/*/run.json",
    "evaluate": "runs/*/*/*/*/evaluation.json",
    "report": "report.json",
}
BENCHMARKS = {
    "download": "../benchmarks/data/{}.download.tsv",
    "preprocess": "../benchmarks/data/{}.preprocess.tsv",
    "train": "logs/train.tsv",
    "evaluate": "logs/evaluate.tsv",
    "report": "benchmarks/report.tsv",
}
"""From a record to Snakemake's own measurement of the stage, which counts as a result of it."""
MILLISECOND = 10**6


def adopt(results: Path, study: Config, memory: Path) -> None:
    """Set the times of a study's results that Snakemake does not remember.

    Args:
        results: results/<name>.
        study: what would be made.
        memory: Snakemake's folder of metadata.
    """
    known = remembered(memory)
    for stage, pattern in RECORDS.items():
        for record in sorted(results.glob(pattern)):
            if record.as_posix() not in known:
                # A damaged record says nothing, nor do files that belong to somebody else.
                with suppress(UserError, OSError, KeyError, TypeError, AttributeError):
                    seal = read_json(record, "record")["seal"]
                    benchmark = record.parent / BENCHMARKS[stage].format(record.with_suffix("").stem)
                    set_times(record, benchmark, seal, same_work(stage, record.relative_to(results), seal, study))


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


def same_work(stage: str, record: Path, seal: dict[str, Any], study: Config) -> bool:
    """Return whether a stage would read the same configuration and run the same source now."""
    # The name says only where results lie.
    before = parse_config(seal["config"] | {"name": study.name})
    if stage == "report":
        dataset = method = None
        same = before == study
    else:
        dataset, method = subject(record)
        same = excerpt(before, stage, dataset, method) == excerpt(study, stage, dataset, method)
    now = sources(modules(study, stage, dataset, method))
    return same and all(seal["sources"].get(name) == digest for name, digest in now.items())


def subject(record: Path) -> tuple[str, str | None]:
    """Return the data set and the method that a record is about, from its place in the results."""
    if record.parts[0] == "data":
        return record.with_suffix("").stem, None
    return record.parts[1], record.parts[2]


def set_times(record: Path, benchmark: Path, seal: dict[str, Any], same: bool) -> None:
    """Make what a record is about as new as its inputs where it is still what would be made, else older."""
    inputs, outputs = (
        {record.parent / name: digest for name, digest in seal[key].items()} for key in ("inputs", "outputs")
    )
    made, used = [record, *outputs, *[benchmark] * benchmark.is_file()], [changed_at(path) for path in inputs]
    if not used:
        return
    if not same:
        for path in made:
            move(path, min(changed_at(path), min(used) - MILLISECOND))
    elif min(map(changed_at, made)) < max(used) and unchanged(inputs | outputs):
        for path in made:
            move(path, max(changed_at(path), max(used)))


def changed_at(path: Path) -> int:
    """Return when a file was changed last, in nanoseconds."""
    return path.stat().st_mtime_ns


def move(path: Path, time: int) -> None:
    """Set when a file was changed last, in nanoseconds."""
    os.utime(path, ns=(time, time))


def unchanged(digests: dict[Path, str]) -> bool:
    """Return whether files have these digests."""
    return all(sha256_file(path) == digest for path, digest in digests.items())
