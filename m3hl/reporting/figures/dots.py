"""Places of dots on a common axis, in percent of its length: a template draws them, so text never shrinks."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high` with a tick at every `step`."""

    low: float
    high: float
    step: float

    def place(self, value: float) -> float:
        """Return where a value lies, in percent of the axis."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> list[float]:
        """Values with a tick."""
        return [self.low + n * self.step for n in range(round((self.high - self.low) / self.step) + 1)]


def percent_axis(values: Iterable[float]) -> Axis:
    """Return an axis within 0 and 100 that holds all values, with two to seven ticks.

    >>> percent_axis([81.2, 93.0])
    Axis(low=80, high=95, step=5)
    """
    values = list(values)
    for step in (1, 2, 5, 10, 20):
        low, high = floor(min(values) / step) * step, ceil(max(values) / step) * step
        if high - low <= 5 * step:
            break
    return Axis(low, max(high, low + step), step)
