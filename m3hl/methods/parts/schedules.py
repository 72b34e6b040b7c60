"""Numbers that change with the iteration t (from 0): factors of learning rates, and ramps of loss weights."""

from math import cos, exp, pi

from m3hl.data.batches import Batch


def step(t: int, every: int, factor: float) -> float:
    """Return factor^⌊t / every⌋.

    Once within a run of up to 2 · `every` iterations, this is a single drop.
    """
    return factor ** (t // every)


def polynomial(t: int, total: int, power: float, *, lag: bool = False) -> float:
    """Return (1 − t / total)^power.

    Args:
        t: iteration.
        total: iterations in all.
        power: exponent.
        lag: take the iteration before, as code does that sets the rate after a step from the old counter.
    """
    return (1 - max(t - lag, 0) / total) ** power


def gaussian_ramp(t: int, length: int, *, every: int = 1) -> float:
    """Return exp(−5 (1 − min(⌊t / every⌋, length) / length)²): from e⁻⁵ at the start to 1 after length · every.

    A `length` of 0 is 1 from the start.
    """
    done = min(t // every, length) / length if length else 1.0
    return exp(-5 * (1 - done) ** 2)


def cosine_ramp(t: int, length: int) -> float:
    """Return ½ (1 − cos(π · min(t, length) / length)): from 0 to 1; a `length` of 0 is 1 from the start."""
    return (1 - cos(pi * min(t, length) / length)) / 2 if length else 1.0


def ramp_of_run(batch: Batch, length: int | None, every: int, start: int = 0) -> float:
    """Return `gaussian_ramp` of a batch's iteration; a `length` of None is the whole run.

    The first iteration is number `start`.
    """
    length = max(1, batch.iterations // every) if length is None else length
    return gaussian_ramp(batch.iteration + start, length, every=every)


def warm_up_decay(t: int, decay: float) -> float:
    """Return min(1 − 1 / (t + 1), decay), the share of a teacher that stays: none of it at first."""
    return min(1 - 1 / (t + 1), decay)


def late_warm_up_decay(t: int, start: int, decay: float) -> float:
    """Return 0 before `start`, where a teacher is a copy, and then min(1 − 1 / (t − start + 1), decay)."""
    return warm_up_decay(t - start, decay) if t >= start else 0.0
