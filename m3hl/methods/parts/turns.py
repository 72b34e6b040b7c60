"""Whose turn it is, of two: turns of random lengths."""

from bisect import bisect_right

import numpy as np

from m3hl.data.batches import TURNS


class RandomTurns:
    """Two take turns, each as long as it is drawn from 1, …, `longest`; the first begins.

    All lengths follow from the seed: a run that was killed needs no memory of them.

    Args:
        seed: of the run.
        longest: iterations.
    """

    def __init__(self, seed: int, longest: int) -> None:
        self.rng, self.longest = np.random.default_rng([seed, TURNS]), longest
        self.ends: list[int] = []

    def __call__(self, iteration: int) -> int:
        """Return 0 or 1: who is at work in an iteration (from 0)."""
        while not self.ends or self.ends[-1] <= iteration:
            length = int(self.rng.integers(1, self.longest, endpoint=True))
            self.ends.append(length + (self.ends[-1] if self.ends else 0))
        return bisect_right(self.ends, iteration) % 2
