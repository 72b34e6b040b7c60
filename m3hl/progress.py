"""Progress as plain lines, so that parallel jobs, log files and CI can all show it."""

import logging
import time

log = logging.getLogger(__name__)

BAR_WIDTH = 20


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
        share = self.done / self.total if self.total else 1.0
        bar = "█" * round(share * BAR_WIDTH)
        rate = (self.done - self._first) / elapsed if elapsed > 0 else 0.0
        left = clock((self.total - self.done) / rate) if rate else "?"
        when = f"{left} left" if self.done < self.total else f"took {clock(elapsed)}"
        parts = [self.label, f"{bar:░<{BAR_WIDTH}} {share:4.0%} {self.done}/{self.total}", text, when]
        return "  ".join(part for part in parts if part)


def clock(seconds: float) -> str:
    """Return seconds as `m:ss` or `h:mm:ss`.

    >>> clock(75.4)
    '1:15'
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
