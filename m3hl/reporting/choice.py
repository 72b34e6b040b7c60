"""Which methods curves, cases and examples show at first; of many, the reader chooses others."""

from dataclasses import dataclass

from m3hl.reporting.comparison import BASELINE, OURS
from m3hl.reporting.study import Study

FEW = 4
"""So many methods are shown together, without a choice."""


@dataclass(frozen=True)
class Choice:
    """A method that can be shown or not: its place in the study, its label, and whether it is shown at first."""

    index: int
    label: str
    shown: bool


def choices(study: Study) -> list[Choice]:
    """Return every method of a study as a choice; none where there are few, which are all shown.

    At first the baseline is shown, and M³HL, or the first other method of a study without it.
    """
    if len(study.methods) <= FEW:
        return []
    algorithms = [method.algorithm for method in study.methods.values()]
    others = [name for name in algorithms if name != BASELINE]
    shown = BASELINE, OURS if OURS in others else next(iter(others), BASELINE)
    first = {algorithms.index(name) for name in shown if name in algorithms}
    return [Choice(n, method.label, n in first) for n, method in enumerate(study.methods.values())]
