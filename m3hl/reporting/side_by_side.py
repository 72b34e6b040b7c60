"""Table 1 as printed and as reproduced, side by side: in print order, with ranks by Dice."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import pandas as pd
from scipy import stats

from m3hl.reporting.against_paper import comparable
from m3hl.reporting.exports import Table
from m3hl.reporting.published import LABELED, SOURCE, Published, table1
from m3hl.reporting.result_tables import HEADS
from m3hl.reporting.study import Study
from m3hl.reporting.tables import Line
from m3hl.reporting.text import NONE, dagger, number, spread


@dataclass(frozen=True)
class Pair:
    """A row of the table.

    Attributes:
        label: the method.
        printed: its row in the paper; None where the paper has none.
        line: its row in the study; None where the study has none.
        printed_rank, rank: by Dice, from 1; None without a number. Only a method's first row here has one.
        index: the method's number in the study, which decides its colour; None where the study has none.
    """

    label: str
    printed: Published | None
    line: Line | None
    printed_rank: int | None
    rank: int | None
    index: int | None

    @property
    def dice(self) -> tuple[float, float]:
        """The printed Dice and the one here, percent; NaN where there is none."""
        scores = self.line.scores.get("published", {}) if self.line else {}
        return self.printed.dice if self.printed else nan, scores.get("dice_mean", nan)


def side_by_side(study: Study, dataset: str, found: list[Line]) -> list[Pair]:
    """Return the paper's rows in print order, then methods that it does not have; [] where nothing compares.

    Args:
        study: the study.
        dataset: one of its data sets.
        found: its lines.
    """
    facts = study.datasets[dataset]
    if facts.synthetic or facts.kind not in LABELED:
        return []
    methods = study.methods
    lines = [line for line in found if comparable(study, line.row)]
    if not lines:
        return []
    printed = table1(facts.kind)
    rows: list[tuple[Published | None, Line | None]] = []
    for row in printed:
        same = [line for line in lines if row.ours and methods[line.row.method].algorithm == row.ours]
        rows += [(row, line) for line in same or [None]]
    known = {row.ours for row in printed}
    rows += [(None, line) for line in lines if methods[line.row.method].algorithm not in known]
    # Of a method's presets the first stands for it.
    first = dict[str, Line]()
    for line in lines:
        first.setdefault(methods[line.row.method].algorithm, line)
    here = ranks([(id(line), line.scores["published"]["dice_mean"]) for line in first.values() if line.scores])
    there = ranks([(row.method, row.dice) for row in printed])
    order = list(methods)
    return [
        Pair(
            label=methods[line.row.method].label if line else row.method,
            printed=row,
            line=line,
            printed_rank=there.get(row.method) if row else None,
            rank=here.get(id(line)),
            index=order.index(line.row.method) if line else None,
        )
        for row, line in rows
    ]


def ranks(values: list[tuple[object, float]]) -> dict[object, int]:
    """Return the rank of each value, the highest first; those that are NaN have none."""
    known = [(key, value) for key, value in values if not isnan(value)]
    return {key: 1 + sum(other > value for _, other in known) for key, value in known}


def agreement(pairs: Sequence[Pair]) -> tuple[float, int]:
    """Return how far printed and reproduced Dice order the methods alike, Kendall's τ, and of how many.

    NaN for less than three methods that have both numbers.
    """
    both = [pair.dice for pair in pairs if pair.rank and pair.printed_rank]
    if len(both) < 3:
        return nan, len(both)
    return float(stats.kendalltau(*zip(*both, strict=True)).statistic), len(both)


def side_by_side_table(dataset: str, pairs: Sequence[Pair]) -> Table:
    """Return the pairs as a table for files, in the literature's convention."""
    data, shown = [], []
    for pair in pairs:
        scores = pair.line.scores.get("published", {}) if pair.line else {}
        marked = pair.line.row.test_selected if pair.line else False
        full, told = {"method": pair.label}, {"Method": pair.label}
        for metric, head in HEADS.items():
            value = getattr(pair.printed, metric) if pair.printed else nan
            mean, std = (scores.get(f"{metric}_{part}", nan) for part in ("mean", "std"))
            full |= {f"{metric}_printed": value, f"{metric}_mean": mean, f"{metric}_std": std}
            told |= {
                f"{head}, printed": number(value),
                f"{head}, here": spread(mean, std) + dagger(marked and mean == mean),
            }
        data.append(full | {"rank_printed": pair.printed_rank, "rank": pair.rank, "test_selected": marked})
        told |= {"Rank, printed": str(pair.printed_rank or NONE), "Rank, here": str(pair.rank or NONE)}
        shown.append(told)
    frame = pd.DataFrame(data).astype({"rank_printed": "Int64", "rank": "Int64"})
    caption = f"Table 1 on {dataset}, as printed ({SOURCE}) and reproduced: mean ± standard deviation over seeds."
    return Table(f"side-by-side-{dataset}", caption, frame, pd.DataFrame(shown))
