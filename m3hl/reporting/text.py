"""Numbers as the page writes them; used by sections and, as filters, by templates."""

from collections.abc import Iterable
from math import isnan

from m3hl.progress import clock

NONE = "–"
MINUS = "−"
TEST_MARK = "†"
"""Stands at numbers whose weights the test split chose."""
TEST_SELECTED = "The test split chose the weights: too good to be compared."


def dagger(test_selected: bool) -> str:
    """Return the mark of numbers whose weights the test split chose, and nothing at others."""
    return TEST_MARK if test_selected else ""


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with a true minus sign, or a dash where there is none.

    >>> number(-1.234)
    '−1.23'
    """
    if value is None or isnan(value):
        return NONE
    return f"{value:.{digits}f}".replace("-", MINUS)


def spread(mean: float | None, deviation: float | None, digits: int = 2) -> str:
    """Return a mean and, where there is one, its standard deviation.

    >>> spread(90.0, 1.25), spread(90.0, float("nan"))
    ('90.00 ± 1.25', '90.00')
    """
    known = deviation is not None and not isnan(deviation)
    return f"{number(mean, digits)} ± {number(deviation, digits)}" if known else number(mean, digits)


def percent(value: float) -> str:
    """Return percent with one decimal, and a space before the sign that does not break.

    >>> percent(81.04)
    '81.0\\xa0%'
    """
    return f"{number(value, 1)}\u00a0%"


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign, or a dash where there is none.

    >>> signed(0.5, 1)
    '+0.5'
    """
    if isnan(value):
        return NONE
    return f"{value:+.{digits}f}".replace("-", MINUS)


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return an interval of differences, or a dash where there is none.

    >>> interval(-0.5, 1.25)
    '−0.50 to +1.25'
    """
    return NONE if isnan(low) else f"{signed(low, digits)} to {signed(high, digits)}"


def count(n: int, noun: str) -> str:
    """Return a number and its noun.

    >>> count(1, "patient"), count(1200, "case")
    ('1 patient', '1\u202f200 cases')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}".replace(",", "\u202f")


def given_labels(labeled: int | str, group: str) -> str:
    """Return what a method has seen the labels of.

    >>> given_labels(7, "patient"), given_labels("all", "scan")
    ('7 labeled patients', 'all labeled scans')
    """
    return f"all labeled {group}s" if labeled == "all" else count(int(labeled), f"labeled {group}")


def times(values: Iterable[object]) -> str:
    """Return extents joined by a multiplication sign.

    >>> times((64, 64))
    '64×64'
    """
    return "×".join(str(value) for value in values)


def duration(seconds: float | None) -> str:
    """Return seconds as `m:ss` or `h:mm:ss`, or a dash."""
    return NONE if seconds is None else clock(seconds)


def memory(mib: float | None) -> str:
    """Return a size in GiB, or a dash.

    >>> memory(1536)
    '1.5 GiB'
    """
    return NONE if mib is None else f"{mib / 1024:.1f} GiB"


def sentence_list(parts: list[str]) -> str:
    """Return parts as a list in a sentence.

    >>> sentence_list(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
