"""Progress as plain lines, so that parallel jobs, log files and CI can all show it."""

import codecs
import logging
import re
import time
from dataclasses import dataclass

log = logging.getLogger(__name__)

BAR_WIDTH = 20
PLAIN = {"█": "#", "░": ".", "·": "-", "³": "3"}
"""What stands for a sign that a terminal's encoding lacks; for any other its escape."""
LINE = re.compile(
    rf"^(?P<label>.*)  (?:[█░#.]|\\u25(?:88|91)){{{BAR_WIDTH}}} +\d+% (?P<done>\d+)/(?P<total>\d+)"
    r"(?:  (?P<text>.*))?  (?:(?P<left>[\d:]+|\?) left|took [\d:]+)$"
)
"""What `Progress.line` writes, and what terminals without its signs make of it."""


@dataclass(frozen=True)
class Step:
    """How far something was when a line was logged.

    Attributes:
        done, total: steps.
        text: the numbers behind the bar.
        left: seconds that were left; None where that was not known, 0 at the end.
        label: what was being done.
    """

    done: int
    total: int
    text: str
    left: int | None
    label: str


class Progress:
    """Log a line with a bar, the newest numbers and the time left, at most every `interval` seconds.

    Args:
        label: what is being done, shown at the head of each line.
        total: how many steps there are.
        done: steps that an earlier, interrupted run has done already.
        interval: seconds between two lines.
    """

    def __init__(self, label: str, total: int, *, done: int = 0, interval: float = 5.0) -> None:
        self.label, self.total, self.done, self.interval = label, total, done, interval
        self._start, self._first, self._last = time.monotonic(), done, time.monotonic()

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` steps are done; `text` stands behind the bar."""
        self.done = done
        now = time.monotonic()
        if now - self._last >= self.interval or done == self.total:
            self._last = now
            log.info("%s", self.line(now - self._start, text))

    def line(self, elapsed: float, text: str) -> str:
        """Return the line to show after `elapsed` seconds."""
        rate = (self.done - self._first) / elapsed if elapsed > 0 else 0.0
        left = clock((self.total - self.done) / rate) if rate else "?"
        when = f"{left} left" if self.done < self.total else f"took {clock(elapsed)}"
        parts = [self.label, bar(self.done, self.total), text, when]
        return "  ".join(part for part in parts if part)


def bar(done: int, total: int) -> str:
    """Return a bar, the percentage and both numbers.

    >>> bar(1, 4)
    '█████░░░░░░░░░░░░░░░  25% 1/4'
    """
    share = done / total if total else 1.0
    return f"{'█' * round(share * BAR_WIDTH):░<{BAR_WIDTH}} {share:4.0%} {done}/{total}"


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written in place of signs that an encoding lacks, and where to go on; see `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        return codecs.backslashreplace_errors(error)
    signs = error.object[error.start : error.end]
    known = (PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in signs)
    return "".join(known), error.end


def clock(seconds: float) -> str:
    """Return seconds as `m:ss` or `h:mm:ss`.

    >>> clock(75.4)
    '1:15'
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def read_line(line: str) -> Step | None:
    """Return what a line of a log says about progress, None where it is another line.

    >>> read_line("a  ██████████░░░░░░░░░░  50% 3/6  Dice 80.0  0:12 left")
    Step(done=3, total=6, text='Dice 80.0', left=12, label='a')
    """
    found = LINE.match(line)
    if found is None:
        return None
    left = found["left"] or "0"
    seconds = None if left == "?" else sum(int(part) * 60**n for n, part in enumerate(reversed(left.split(":"))))
    return Step(int(found["done"]), int(found["total"]), found["text"] or "", seconds, found["label"])
