"""Student's t interval of a mean."""

from collections.abc import Sequence
from math import nan

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def t_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the two-sided interval of the mean at `CONFIDENCE`; NaN where there are not two values.

    >>> low, high = t_interval([89.0, 91.0])
    >>> round(low, 2), round(high, 2)
    (77.29, 102.71)
    """
    if len(values) < 2:
        return nan, nan
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return mean - half, mean + half
