"""Records of who made a result: written with their own digest, and where those of runs belong."""

from pathlib import Path
from typing import Any

from m3hl.config.experiment import Run
from m3hl.files.atomic import write_json
from m3hl.files.digests import sha256_json

RUN, RUN_RECORD = "runs/*/*/*/*/", "run.json"
RECORDS = {
    "download": "data/*.json.provenance",
    "preprocess": "data/*.h5.provenance",
    "train": f"{RUN}{RUN_RECORD}",
    "evaluate": f"{RUN}evaluation.json",
    "report": "report.json",
}
"""Where each stage's records lie in results/<name>, in the order of the stages."""


def write_record(path: Path, values: dict[str, Any]) -> None:
    """Write a record atomically, with the digest of what it says."""
    write_json(path, values | {"sha256": sha256_json(values)})


def is_as_written(record: dict[str, Any]) -> bool:
    """Return whether a record still says what it said when it was written."""
    return record.get("sha256") == sha256_json({key: value for key, value in record.items() if key != "sha256"})


def lies_right(place: Path, record: dict[str, Any]) -> bool:
    """Return whether a file of a run, by its path in the results, lies where the run's record belongs."""
    if any(key not in record for key in Run._fields):
        return False
    return place.parent.as_posix() == str(Run(*(record[key] for key in Run._fields)).path)
