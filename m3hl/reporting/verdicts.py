"""What the comparison of a method with supervised training says, in sentences that claim no more than it shows."""

from m3hl.reporting.casewise import case_test
from m3hl.reporting.comparison import (
    BASELINE,
    OURS,
    Comparison,
    compared_methods,
    counterpart,
    of,
    pairs,
    rankings,
)
from m3hl.reporting.study import Study
from m3hl.reporting.text import count, dagger, given_labels, interval, number, percent, signed

MOST_DATASETS = 2
"""So many data sets get a sentence of their own; more are summed up in one."""


def verdicts(study: Study, comparisons: list[Comparison]) -> list[str]:
    """Return what the comparison with supervised training says, in one or two sentences."""
    if not comparisons:
        return [no_answer(study)]
    first: dict[str, Comparison] = {}
    for comparison in comparisons:
        first.setdefault(comparison.method.dataset, comparison)
    if len(first) <= MOST_DATASETS:
        return [sentence(study, comparison) for comparison in first.values()]
    above = sum(min(c.gains) > 0 for c in comparisons)
    mark = dagger(any(c.test_selected for c in comparisons))
    who = "M³HL" if of(study, OURS) else "The best method of each data set"
    gains = sorted(comparison.gain for comparison in comparisons)
    least, most = signed(gains[0]) + mark, signed(gains[-1]) + mark
    return [
        f"{who} is above supervised training with every seed in {above} of {len(comparisons)} comparisons; its "
        f"mean gain in Dice lies between {least} and {most} percentage points."
    ]


def no_answer(study: Study) -> str:
    """Return why nothing can be said."""
    other, sides = counterpart(study), (compared_methods(study), of(study, BASELINE))
    if not any(any(pairs(study.rows(name), *sides)) for name in study.datasets):
        return f"There is no answer: it takes {other} and supervised training with the same labels and network."
    return f"There is no answer yet: no seed has ended both with {other} and with supervised training."


def sentence(study: Study, comparison: Comparison) -> str:
    """Return a comparison as a sentence; without M³HL it is of the best method, and the second is named."""
    said = verdict(study, comparison)
    place = comparison.method.dataset, comparison.method.labeled
    others = [] if of(study, OURS) else rankings(study)[place][1:]
    if not others:
        return said
    second = study.methods[others[0].method.method].label
    dice = percent(others[0].dice) + dagger(others[0].test_selected)
    return f"{said[:-1]}, the most of {len(others) + 1} methods; {second} is second with {dice}."


def verdict(study: Study, comparison: Comparison) -> str:
    """Return one comparison as a sentence that claims no more than the seeds show."""
    row, gains = comparison.method, comparison.gains
    facts, method = study.datasets[row.dataset], study.methods[row.method].label
    mark = dagger(comparison.test_selected)
    given = given_labels(row.labeled, facts.group)
    ours, theirs = percent(comparison.dice) + mark, percent(comparison.baseline_dice) + mark
    seeds = count(len(gains), "seed")
    spread = f"{seeds}, {signed(min(gains), 1)} to {signed(max(gains), 1)}{mark}" if len(gains) > 1 else seeds
    spread += over_cases(comparison, facts.group)
    points = f"{number(abs(comparison.gain), 1)}{mark} percentage points"
    head = f"On {row.dataset} with {given}, {method}"
    if comparison.gain <= 0:
        return f"{head} is not above supervised training: {ours} against {theirs} Dice, {points} less ({spread})."
    if min(gains) <= 0:
        return (
            f"{head} is above supervised training on average but not with every seed: {ours} against {theirs} "
            f"Dice, {points} more ({spread})."
        )
    return f"{head} reaches {ours} Dice, {points} above supervised training at {theirs} ({spread})."


def over_cases(comparison: Comparison, group: str) -> str:
    """Return the interval of the mean gain over test cases, "" where there is none."""
    test = case_test(comparison)
    if test is None or test.result.n < 2:
        return ""
    units = count(test.result.n, group if test.grouped else "case")
    return f"; 95 % interval over {units} {interval(test.result.low, test.result.high, 1)}"
