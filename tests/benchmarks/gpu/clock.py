"""Commands inside a time budget."""

import subprocess
import time

GRACE = 15
"""Seconds that a command gets to save itself before it is killed."""


class Clock:
    """Ends what runs when the time is over: a training saves itself then.

    Args:
        deadline: as of `time.time`.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self._deadline - time.time())

    def run(self, command: list[str]) -> int | None:
        """Run a command; return its exit status, or None where the time was over before it ended."""
        if not self.left:
            return None
        with subprocess.Popen(command) as process:
            try:
                return process.wait(self.left)
            except subprocess.TimeoutExpired:
                process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
        return None
