"""Records of runs: what they are called, and where they belong."""

from pathlib import Path
from typing import Any

from m3hl.config.experiment import Run

RUN_RECORD = "run.json"


def lies_right(place: Path, record: dict[str, Any]) -> bool:
    """Return whether a file of a run, by its path in the results, lies where the run's record belongs."""
    return place.parent.as_posix() == str(Run(*(record[key] for key in Run._fields)).path)
