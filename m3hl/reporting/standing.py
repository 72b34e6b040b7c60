"""How M³HL stands among many methods, as sentences that claim no more than the numbers show."""

from statistics import fmean

from m3hl.reporting.case_tests import ALPHA
from m3hl.reporting.casewise import CaseTest, case_tests
from m3hl.reporting.comparison import BASELINE, OURS, Comparison, of, run_dice
from m3hl.reporting.side_by_side import ranks
from m3hl.reporting.study import Study
from m3hl.reporting.text import count, dagger, interval, sentence_list, signed

OTHERS = 3
"""So many methods besides M³HL and supervised training make a study a table."""
MOST_AHEAD = 3
"""So many methods before M³HL are named."""


def has_many(study: Study) -> bool:
    """Return whether a study is about more than M³HL and supervised training."""
    return len({method.algorithm for method in study.methods.values()} - {OURS, BASELINE}) >= OTHERS


def standing(study: Study, comparisons: list[Comparison]) -> list[str]:
    """Return M³HL's gain and its place on every data set, a sentence each; nothing where it has no partner.

    Of its presets the first stands for it.

    Args:
        study: what it is about.
        comparisons: of M³HL with supervised training, those that are told of.
    """
    firsts: dict[str, Comparison] = {}
    for comparison in comparisons:
        if comparison.method.method == of(study, OURS)[0]:
            firsts.setdefault(comparison.method.dataset, comparison)
    if not firsts:
        return []
    tests = case_tests(study)
    gains = [gain(study, comparison, tests) for comparison in firsts.values()]
    places = [place(study, comparison, tests) for comparison in firsts.values()]
    clear = f"clearly: p < {ALPHA} over test cases, after Holm's correction"
    return [
        f"In Dice, M³HL differs from supervised training by {sentence_list(gains)}.",
        f"On {'; on '.join(places)} ({clear}).",
    ]


def gain(study: Study, comparison: Comparison, tests: list[CaseTest]) -> str:
    """Return M³HL's gain on a data set with its interval over test cases."""
    dataset, mark = comparison.method.dataset, dagger(comparison.test_selected)
    said = f"{signed(comparison.gain, 1)}{mark} percentage points on {dataset}"
    test = next((test for test in tests if test.comparison == comparison), None)
    if test is None or test.result.n < 2:
        return said
    units = count(test.result.n, study.datasets[dataset].group if test.grouped else "case")
    return f"{said} (95 % interval over {units} {interval(test.result.low, test.result.high, 1)}{mark})"


def place(study: Study, comparison: Comparison, tests: list[CaseTest]) -> str:
    """Return how many methods are clearly above supervised training on a data set, and where M³HL stands."""
    row, baseline = comparison.method, comparison.baseline
    # Of a method's presets the first stands for it, if it is of our network.
    names = {of(study, method.algorithm)[0] for method in study.methods.values()}
    against = [t for t in tests if t.comparison.baseline == baseline and t.comparison.method.method in names]
    above = sum(test.result.mean > 0 and test.holm_p < ALPHA for test in against)
    dice: dict[str, list[float]] = {}
    for (dataset, method, labeled, _), value in run_dice(study).items():
        if (dataset, labeled) == (row.dataset, row.labeled) and method in names:
            dice.setdefault(method, []).append(value)
    found = ranks([(method, fmean(values)) for method, values in dice.items()])
    ahead = [study.methods[name].label for name in sorted(found, key=found.get) if found[name] < found[row.method]]
    seeds = {len(values) for values in dice.values()}
    over = "" if len(seeds) == 1 else f" (means over {min(seeds)} to {max(seeds)} seeds)"
    behind = f", behind {sentence_list(ahead)}" if 0 < len(ahead) <= MOST_AHEAD else ""
    return (
        f"{row.dataset}, {above} of {count(len(against), 'method')} are clearly above supervised training, and "
        f"M³HL ranks {found[row.method]} of {len(found)}{over}{behind}"
    )
