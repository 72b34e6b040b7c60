"""Table 1 beside the paper: what the runs reach, what is printed, and the difference with its interval."""

from dataclasses import dataclass
from math import nan

import numpy as np

from m3hl.evaluation.summary import CONVENTIONS, RUN, Convention, run_means
from m3hl.reporting.facts import DatasetFacts, MethodFacts
from m3hl.reporting.intervals import t_interval
from m3hl.reporting.published import LABELED, Published, table1
from m3hl.reporting.study import Row, Study

METRICS = ("dice", "jaccard", "hd95", "asd")


@dataclass(frozen=True)
class Difference:
    """A row's mean over seeds minus the printed number.

    Attributes:
        mean, std: over seeds (ddof 1; NaN for one seed), percent or voxels.
        printed: the paper's number, NaN for a dash.
        low, high: confidence interval of `mean - printed`, NaN for one seed.
    """

    mean: float
    std: float
    printed: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The difference itself."""
        return self.mean - self.printed


@dataclass(frozen=True)
class Beside:
    """A row of the study and the row of Table 1 with the same method and labeled count.

    Attributes:
        row: the study's.
        published: the paper's.
        differences: by convention and metric; {} while no run has ended.
    """

    row: Row
    published: Published
    differences: dict[Convention, dict[str, Difference]]


def difference(values: list[float], printed: float) -> Difference:
    """Return the mean of the seeds' values minus the printed number, with Student's t interval over the seeds.

    The printed number has no spread of its own and counts as exact.

    >>> d = difference([89.0, 91.0], 90.47)
    >>> round(d.value, 2), round(d.low, 2), round(d.high, 2)
    (-0.47, -13.18, 12.24)
    """
    values = [value for value in values if not np.isnan(value)]
    if not values:
        return Difference(nan, nan, printed, nan, nan)
    std = float(np.std(values, ddof=1)) if len(values) > 1 else nan
    low, high = t_interval(values)
    return Difference(float(np.mean(values)), std, printed, low - printed, high - printed)


def stands_for(method: MethodFacts, dataset: DatasetFacts) -> bool:
    """Return whether a method stands for its row of Table 1: with a preset as it is.

    A study of another size scales what methods count in iterations; there it stands under its own name.
    """
    scaled = dataset.differences and method.name == method.algorithm and not method.own_network
    return method.as_published(dataset.name) or bool(scaled)


def comparable(study: Study, row: Row) -> bool:
    """Return whether a row can stand beside one of Table 1: with the paper's labeled count, and for its method."""
    dataset = study.datasets[row.dataset]
    return row.labeled == LABELED.get(dataset.kind) and stands_for(study.methods[row.method], dataset)


def paper_rows(study: Study, dataset: str) -> list[tuple[Row, Published]]:
    """Return the rows that the paper has too, each with the paper's; none for synthetic images."""
    facts = study.datasets[dataset]
    if facts.synthetic or facts.kind not in LABELED:
        return []
    printed = {row.ours: row for row in table1(facts.kind) if row.ours}
    return [
        (row, printed[algorithm])
        for row in study.rows(dataset)
        if comparable(study, row) and (algorithm := study.methods[row.method].algorithm) in printed
    ]


def beside_paper(study: Study, dataset: str) -> list[Beside]:
    """Return what the rows that the paper has too reach beside it, with runs or without."""
    means = {} if study.metrics.empty else {c: run_means(study.metrics, c).set_index(RUN) for c in CONVENTIONS}
    return [
        Beside(
            row,
            published,
            {
                convention: {
                    metric: difference(list(table.loc[keys, metric]), getattr(published, metric))
                    for metric in METRICS
                }
                for convention, table in means.items()
                if (keys := [key for result in row.ended if (key := tuple(result.run)) in table.index])
            },
        )
        for row, published in paper_rows(study, dataset)
    ]
