"""Preemption and time limits: a signal asks a training to save what it has and to end."""

import signal
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""What schedulers send before they kill, and Ctrl-C."""


SAVED = "saved; the same command goes on from there"
"""How the error of a training that was interrupted ends."""


class Interrupted(Exception):
    """A signal arrived; the text is its name."""


class Interruption:
    """Notes a signal while its `with` block runs; `check` raises `Interrupted` once one has arrived.

    Only between two steps is a training's state whole, so nothing is done at the moment of the signal itself.
    """

    def __init__(self) -> None:
        self.name: str | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has arrived."""
        if self.name:
            raise Interrupted(self.name)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.name = signal.Signals(number).name
