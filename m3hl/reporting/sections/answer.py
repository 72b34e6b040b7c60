"""The question, and the answer in up to three sentences made from the numbers."""

from typing import Any

from m3hl.reporting.against_paper import paper_rows
from m3hl.reporting.casewise import case_test
from m3hl.reporting.comparison import Comparison, compare
from m3hl.reporting.published import LABELED, table1
from m3hl.reporting.side_by_side import agreement, side_by_side
from m3hl.reporting.standing import has_many, standing
from m3hl.reporting.study import Study
from m3hl.reporting.tables import lines
from m3hl.reporting.text import (
    TEST_MARK,
    count,
    dagger,
    given_labels,
    interval,
    number,
    percent,
    sentence_list,
    signed,
)

TITLE = "The answer"
QUESTION = "Does M³HL segment better than supervised training on the same few labels?"
QUESTION_OF_MANY = "Which method segments best with few labels, and do the printed gains hold under one protocol?"
MOST_DATASETS = 2
"""So many data sets get a sentence of their own; more are summed up in one."""


def content(study: Study) -> dict[str, Any]:
    """Return the answer's sentences and how many runs have ended."""
    ended = sum(result.metrics is not None for result in study.results)
    comparisons = told(study)
    return {
        "question": QUESTION_OF_MANY if has_many(study) else QUESTION,
        "sentences": [*standing_or_verdicts(study, comparisons), *caveat(study, comparisons, ended)],
        "ended": ended,
        "planned": len(study.results),
        "unfinished": ended < len(study.results),
    }


def standing_or_verdicts(study: Study, comparisons: list[Comparison]) -> list[str]:
    """Return M³HL's standing among many methods, else what its comparison with supervised training says."""
    if has_many(study) and 0 < len({comparison.method.dataset for comparison in comparisons}) <= MOST_DATASETS:
        return standing(study, comparisons) or verdicts(study, comparisons)
    return verdicts(study, comparisons)


def verdicts(study: Study, comparisons: list[Comparison]) -> list[str]:
    """Return what the comparison with supervised training says, in one or two sentences."""
    if not comparisons:
        return ["There is no answer yet: no seed has ended both with M³HL and with supervised training."]
    first: dict[str, Comparison] = {}
    for comparison in comparisons:
        first.setdefault(comparison.method.dataset, comparison)
    if len(first) <= MOST_DATASETS:
        return [verdict(study, comparison) for comparison in first.values()]
    above = sum(min(c.gains) > 0 for c in comparisons)
    mark = dagger(any(c.test_selected for c in comparisons))
    return [
        f"M³HL is above supervised training with every seed in {above} of {len(comparisons)} comparisons; its "
        f"mean gain in Dice lies between {signed(min(c.gain for c in comparisons))}{mark} and "
        f"{signed(max(c.gain for c in comparisons))}{mark} percentage points."
    ]


def told(study: Study) -> list[Comparison]:
    """Return the comparisons of the answer: of many data sets those whose weights no test scan chose."""
    comparisons = compare(study)
    if len({comparison.method.dataset for comparison in comparisons}) <= MOST_DATASETS:
        return comparisons
    return [comparison for comparison in comparisons if not comparison.test_selected] or comparisons


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


def caveat(study: Study, comparisons: list[Comparison], ended: int) -> list[str]:
    """Return the most important reservation as one sentence, or nothing."""
    if ended < len(study.results):
        return [f"So far {ended} of {count(len(study.results), 'run')} have ended; the rest may change this."]
    if any(comparison.test_selected for comparison in comparisons):
        return [f"{TEST_MARK} The test split chose the weights, so these numbers are too good."]
    if all(facts.synthetic for facts in study.datasets.values()):
        return ["The images are synthetic: this shows that the code works, not how well it does on patients."]
    return paper_says(study)


def paper_says(study: Study) -> list[str]:
    """Return the paper's gains, and whether the study's size and settings are the paper's, as one sentence."""
    names = in_paper(study)
    if not names:
        return []
    printed = (
        f"The paper prints {sentence_list([printed_gain(study, name) for name in names])}{order(study, names)}"
    )
    if all(has_paper_settings(study, name) for name in names):
        return [f"{printed}."]
    sizes = [f"{size} on {name}" for name in names if (size := study.datasets[name].size)]
    ours = f"this study is smaller ({sentence_list(sizes)})" if sizes else "this study has other settings"
    return [f"{printed}; {ours}, and neither confirms nor refutes it (see Results)."]


def order(study: Study, names: list[str]) -> str:
    """Return how far the paper's order of the methods is the study's, "" where too few have both numbers."""
    if not has_many(study):
        return ""
    found = [(name, *agreement(side_by_side(study, name, lines(study, name)))) for name in names]
    told = [f"{number(tau)} on {name} ({count(n, 'method')})" for name, tau, n in found if tau == tau]
    return f", and orders the methods as here to a Kendall's τ of {sentence_list(told)}" if told else ""


def has_paper_settings(study: Study, dataset: str) -> bool:
    """Return whether both methods are trained on a data set as the paper trains them, with a whole preset."""
    trained = {published.ours for _, published in paper_rows(study, dataset)}
    return not study.datasets[dataset].differences and trained >= {"m3hl", "supervised"}


def in_paper(study: Study) -> list[str]:
    """Return the data sets that the paper has numbers for, without those whose weights the test split chose."""
    return [
        name
        for name, facts in study.datasets.items()
        if not facts.synthetic and facts.kind in LABELED and not all(row.test_selected for row in study.rows(name))
    ]


def printed_gain(study: Study, dataset: str) -> str:
    """Return the paper's gain over supervised training, with its labeled count where the study has another."""
    facts = study.datasets[dataset]
    dice = {row.ours: row.dice for row in table1(facts.kind) if row.ours}
    labeled = LABELED[facts.kind]
    same = any(row.labeled == labeled for row in study.rows(dataset))
    given = "" if same else f" with {given_labels(labeled, facts.group)}"
    return f"{signed(dice['m3hl'] - dice['supervised'], 1)} percentage points on {dataset}{given}"
