"""Methods against each other: the difference in Dice, seed by seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from m3hl.evaluation.summary import RUN, run_means
from m3hl.reporting.study import Row, Study

OURS, BASELINE = "m3hl", "supervised"
"""The algorithms that others are compared with."""


@dataclass(frozen=True)
class Comparison:
    """A method and the baseline with the same data set, labeled count and seeds.

    Attributes:
        method, baseline: their rows.
        dice, baseline_dice: mean Dice over the seeds that both have, percent.
        gains: difference in Dice of each such seed, percentage points, in the order of the runs.
    """

    method: Row
    baseline: Row
    dice: float
    baseline_dice: float
    gains: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Mean difference in percentage points."""
        return fmean(self.gains)

    @property
    def test_selected(self) -> bool:
        """Whether the test split chose the weights of any run."""
        return self.method.test_selected or self.baseline.test_selected


def compare(study: Study) -> list[Comparison]:
    """Return every pair of M³HL and supervised training that share a labeled count and ended seeds."""
    dice = run_dice(study)
    return [
        comparison
        for dataset in study.datasets
        for pair in pairs(study.rows(dataset), of(study, OURS), of(study, BASELINE))
        if (comparison := compared(dice, *pair))
    ]


def compare_all(study: Study) -> list[Comparison]:
    """Return every method against supervised training, and the first M³HL against every other method.

    By data set; M³HL against supervised training first, then by labeled count in the order of the methods.
    """
    dice, ours, baseline = run_dice(study), of(study, OURS), of(study, BASELINE)
    others = [name for name in study.methods if name not in {*ours, *baseline}]
    found = []
    for dataset in study.datasets:
        rows = study.rows(dataset)
        for sides in ((ours, baseline), (others, baseline), (ours[:1], others)):
            found += [compared(dice, *pair) for pair in pairs(rows, *sides)]
    return [comparison for comparison in found if comparison]


def rankings(study: Study) -> dict[tuple[str, int | str], list[Comparison]]:
    """Return, by data set and labeled count, every method beside supervised training, the highest Dice first.

    For a study without M³HL.
    """
    found: dict[tuple[str, int | str], list[Comparison]] = {}
    for comparison in compare_all(study):
        found.setdefault((comparison.method.dataset, comparison.method.labeled), []).append(comparison)
    return {place: sorted(rivals, key=lambda rival: -rival.dice) for place, rivals in found.items()}


def compared_methods(study: Study) -> list[str]:
    """Return the methods whose comparison with the baseline a study is about: M³HL's, without it all others."""
    baselines = of(study, BASELINE)
    return of(study, OURS) or [name for name in study.methods if name not in baselines]


def counterpart(study: Study) -> str:
    """Return what a sentence calls them."""
    return "M³HL" if of(study, OURS) else "another method"


def ended_rows(study: Study, dataset: str) -> list[Row]:
    """Return a data set's rows with an ended run: M³HL's first, then other methods', the baseline's last."""
    order = {OURS: 0, BASELINE: 2}
    ended = [row for row in study.rows(dataset) if row.ended]
    return sorted(ended, key=lambda row: order.get(study.methods[row.method].algorithm, 1))


def of(study: Study, algorithm: str) -> list[str]:
    """Return the names of the methods with an algorithm, in the study's order, those with our networks first."""
    names = [name for name, method in study.methods.items() if method.algorithm == algorithm]
    return sorted(names, key=lambda name: study.methods[name].own_network)


def pairs(rows: list[Row], methods: list[str], baselines: list[str]) -> Iterator[tuple[Row, Row]]:
    """Yield the rows of these methods, each with the baselines' of as many labels and the same network."""
    for method in (row for row in rows if row.method in methods):
        for other in (row for row in rows if row.method in baselines and row.labeled == method.labeled):
            if method.settings.network == other.settings.network:
                yield method, other


def compared(dice: dict[tuple, float], method: Row, baseline: Row) -> Comparison | None:
    """Return the comparison of two rows over the seeds that both have; None without any."""
    both = paired(dice, method, baseline)
    if not both:
        return None
    return Comparison(
        method=method,
        baseline=baseline,
        dice=fmean(ours for ours, _ in both),
        baseline_dice=fmean(theirs for _, theirs in both),
        gains=tuple(ours - theirs for ours, theirs in both),
    )


def run_dice(study: Study) -> dict[tuple, float]:
    """Return the mean Dice in percent of every run that has one, by data set, method, labeled count and seed."""
    if study.metrics.empty:
        return {}
    means = run_means(study.metrics, "published").dropna(subset="dice")
    return {tuple(run[key] for key in RUN): run["dice"] for run in means.to_dict("records")}


def paired(dice: dict[tuple, float], method: Row, baseline: Row) -> list[tuple[float, float]]:
    """Return the Dice of both rows for every seed that both have."""
    found = []
    for result in method.ended:
        keys = [(row.dataset, row.method, row.labeled, result.run.seed) for row in (method, baseline)]
        if all(key in dice for key in keys):
            found.append((dice[keys[0]], dice[keys[1]]))
    return found
