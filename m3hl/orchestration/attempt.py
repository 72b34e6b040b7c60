"""What the newest attempt of a job has said in its log."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from m3hl.errors import ERROR, MISTAKE
from m3hl.progress import Step, read_line
from m3hl.provenance.origin import ORIGIN
from m3hl.training.interruption import SAVED

TAIL = 2**16
"""Bytes at the end of a log that are read; an attempt's last words are among them."""
TRAINING_STAGE = re.compile(r" [·-] (stage \d+ of \d+, .+)$")
"""End of the label of a training in stages, as `m3hl.training.session.stage_label` writes it, or `plain` it."""
VALIDATION_DICE = re.compile(r"\bDice (\d+\.\d)$")


@dataclass(frozen=True)
class Attempt:
    """The newest attempt of a job: each begins with the line of `m3hl.provenance.origin`.

    Attributes:
        log: the file.
        step: its last progress line, None before the first.
        error: its last error, "" where there is none; of a mistake of the program, the exception.
        silent: seconds since its last line.
    """

    log: Path
    step: Step | None
    error: str
    silent: float

    @property
    def saved(self) -> bool:
        """Whether a signal ended a training, which has saved itself."""
        return self.error.endswith(SAVED)

    @property
    def dice(self) -> float | None:
        """The Dice (percent) behind the bar: of a training, that of its last validation."""
        found = VALIDATION_DICE.search(self.step.text) if self.step else None
        return float(found[1]) if found else None

    @property
    def training_stage(self) -> str | None:
        """Which of its stages a training is in; None for one without stages, and for other jobs."""
        found = TRAINING_STAGE.search(self.step.label) if self.step else None
        return found[1] if found else None


def read_attempt(log: Path) -> Attempt | None:
    """Return the newest attempt that a log tells of, None where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            text = file.read().decode(errors="replace")
            silent = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    begun = max((n for n, line in enumerate(lines) if ORIGIN.match(line)), default=0)
    lines = lines[begun:]
    steps = [step for line in lines if (step := read_line(line))]
    return Attempt(log, steps[-1] if steps else None, last_error(lines), max(0.0, silent))


def last_error(lines: list[str]) -> str:
    """Return the last error in an attempt's lines, "" where there is none."""
    if MISTAKE in lines:
        # The error's own text may have several lines: the first is behind the last frame.
        begun = max(n for n, line in enumerate(lines) if line == MISTAKE or line.startswith("Traceback"))
        return next((line for line in lines[begun + 1 :] if not line.startswith(" ")), lines[-1])
    return next((line.removeprefix(ERROR) for line in reversed(lines) if line.startswith(ERROR)), "")
