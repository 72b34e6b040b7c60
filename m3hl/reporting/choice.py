"""Which methods curves, cases and examples show at first; of many, the reader chooses others."""

from dataclasses import dataclass

from m3hl.reporting.study import Study

FEW = 4
"""So many methods are shown together, without a choice."""
FIRST = ("supervised", "m3hl")
"""Of each of these algorithms the first method is shown at first."""


@dataclass(frozen=True)
class Choice:
    """A method that can be shown or not: its place in the study, its label, and whether it is shown at first."""

    index: int
    label: str
    shown: bool


def choices(study: Study) -> list[Choice]:
    """Return every method of a study as a choice; none where there are few, which are all shown."""
    if len(study.methods) <= FEW:
        return []
    algorithms = [method.algorithm for method in study.methods.values()]
    first = {algorithms.index(name) for name in FIRST if name in algorithms} or {0, 1}
    return [Choice(n, method.label, n in first) for n, method in enumerate(study.methods.values())]
