"""M³HL against the supervised baseline: the difference in Dice, seed by seed."""

from dataclasses import dataclass
from statistics import fmean

from m3hl.evaluation.summary import RUN, run_means
from m3hl.reporting.study import Row, Study


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


def compare(study: Study, algorithm: str = "m3hl", baseline: str = "supervised") -> list[Comparison]:
    """Return every pair of rows that differ in the algorithm alone and share ended seeds."""
    dice = run_dice(study)
    found = []
    for dataset in study.datasets:
        rows = study.rows(dataset)
        for method in (row for row in rows if study.methods[row.method].algorithm == algorithm):
            for other in rows:
                if study.methods[other.method].algorithm == baseline and other.labeled == method.labeled:
                    pairs = paired(dice, method, other)
                    if pairs:
                        found.append(
                            Comparison(
                                method=method,
                                baseline=other,
                                dice=fmean(ours for ours, _ in pairs),
                                baseline_dice=fmean(theirs for _, theirs in pairs),
                                gains=tuple(ours - theirs for ours, theirs in pairs),
                            )
                        )
    return found


def run_dice(study: Study) -> dict[tuple, float]:
    """Return the mean Dice in percent of every run that has one, by data set, method, labeled count and seed."""
    if study.metrics.empty:
        return {}
    means = run_means(study.metrics, "published").dropna(subset="dice")
    return {tuple(run[key] for key in RUN): run["dice"] for run in means.to_dict("records")}


def paired(dice: dict[tuple, float], method: Row, baseline: Row) -> list[tuple[float, float]]:
    """Return the Dice of both rows for every seed that both have."""
    pairs = []
    for result in method.ended:
        keys = [(row.dataset, row.method, row.labeled, result.run.seed) for row in (method, baseline)]
        if all(key in dice for key in keys):
            pairs.append((dice[keys[0]], dice[keys[1]]))
    return pairs
