"""The question, and the answer in up to three sentences made from the numbers."""

from typing import Any

from m3hl.reporting.against_paper import paper_rows
from m3hl.reporting.comparison import OURS, Comparison, compare, of, rankings
from m3hl.reporting.published import LABELED, table1
from m3hl.reporting.side_by_side import agreement, side_by_side
from m3hl.reporting.standing import has_many, standing
from m3hl.reporting.study import Study
from m3hl.reporting.tables import lines
from m3hl.reporting.text import TEST_MARK, count, given_labels, number, sentence_list, signed
from m3hl.reporting.verdicts import MOST_DATASETS, verdicts

TITLE = "The answer"
QUESTION = "Does M³HL segment better than supervised training on the same few labels?"
QUESTION_OF_MANY = "Which method segments best with few labels, and do the printed gains hold under one protocol?"
QUESTION_WITHOUT_OURS = "Which method segments best with few labels?"


def content(study: Study) -> dict[str, Any]:
    """Return the answer's sentences and how many runs have ended."""
    ended = sum(result.metrics is not None for result in study.results)
    comparisons = told(study)
    return {
        "heading": "M³HL, reproduced" if of(study, OURS) else study.name,
        "question": question(study),
        "sentences": [*standing_or_verdicts(study, comparisons), *caveat(study, comparisons, ended)],
        "ended": ended,
        "planned": len(study.results),
        "unfinished": ended < len(study.results),
    }


def question(study: Study) -> str:
    """Return what the study asks."""
    if not of(study, OURS):
        return QUESTION_WITHOUT_OURS
    return QUESTION_OF_MANY if has_many(study) else QUESTION


def standing_or_verdicts(study: Study, comparisons: list[Comparison]) -> list[str]:
    """Return M³HL's standing among many methods, else what the comparison with supervised training says."""
    datasets = len({comparison.method.dataset for comparison in comparisons})
    if of(study, OURS) and has_many(study) and 0 < datasets <= MOST_DATASETS:
        return standing(study, comparisons) or verdicts(study, comparisons)
    return verdicts(study, comparisons)


def told(study: Study) -> list[Comparison]:
    """Return the comparisons of the answer: of many data sets those whose weights no test scan chose.

    A study without M³HL has an answer as well: what its best method gains.
    """
    comparisons = compare(study) if of(study, OURS) else [rivals[0] for rivals in rankings(study).values()]
    if len({comparison.method.dataset for comparison in comparisons}) <= MOST_DATASETS:
        return comparisons
    return [comparison for comparison in comparisons if not comparison.test_selected] or comparisons


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
    if not names or not of(study, OURS):
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
