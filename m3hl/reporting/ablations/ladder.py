"""From `paper` to `released`: what each difference of the presets is worth."""

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from m3hl.reporting.ablations.differences import PAPER, RELEASED, differing
from m3hl.reporting.ablations.families import Family, Options, families, m3hl_lines
from m3hl.reporting.comparison import paired
from m3hl.reporting.exports import Table
from m3hl.reporting.facts import DatasetFacts
from m3hl.reporting.tables import Line
from m3hl.reporting.text import dagger, signed, spread


@dataclass(frozen=True)
class Rung:
    """A line between the presets.

    Attributes:
        line: its numbers.
        changes: the options that have the released value instead of the paper's.
        previous: the rung with most of these changes and no other; None where there is none.
        step: mean difference in Dice from it, percentage points over the seeds that both have; None without any.
        name: the preset that this is in all options in which the presets differ, or "".
    """

    line: Line
    changes: tuple[str, ...]
    previous: "Rung | None"
    step: float | None
    name: str

    @property
    def turned(self) -> tuple[str, ...]:
        """What has changed since the previous rung."""
        before = self.previous.changes if self.previous else ()
        return tuple(key for key in self.changes if key not in before)

    @property
    def step_marked(self) -> bool:
        """Whether the test split chose weights on either side of the step."""
        rows = [self.line.row] + ([self.previous.line.row] if self.previous else [])
        return any(row.test_selected for row in rows)


def ladders(facts: DatasetFacts, lines: list[Line], dice: dict[tuple, float]) -> list[dict[str, Any]]:
    """Return a ladder for each family whose options are the paper's or the released ones.

    Args:
        facts: of the data set.
        lines: its lines.
        dice: of `m3hl.reporting.comparison.run_dice`.
    """

    def between(options: Options) -> set[str]:
        return {key for key, values in different.items() if options[key] in values}

    known = m3hl_lines(lines)
    different = differing(known[0].row.settings) if known else {}
    return [ladder(facts, family, different, dice) for family in families(known, between)]


def ladder(
    facts: DatasetFacts, family: Family, different: dict[str, tuple[Any, Any]], dice: dict[tuple, float]
) -> dict[str, Any]:
    """Return one family's rungs, fewest changes first."""
    changed = [
        (tuple(key for key in different if key in options and options[key] == different[key][1]), line)
        for options, line in family.members
    ]
    free = [key for key in different if key not in family.base]
    rungs: list[Rung] = []
    for changes, line in sorted(changed, key=lambda found: len(found[0])):
        below = [rung for rung in rungs if set(rung.changes) < set(changes)]
        previous = max(below, key=lambda rung: len(rung.changes), default=None)
        pairs = paired(dice, line.row, previous.line.row) if previous else []
        step = fmean(ours - theirs for ours, theirs in pairs) if pairs else None
        name = {0: PAPER, len(free): RELEASED}.get(len(changes), "")
        rungs.append(Rung(line, changes, previous, step, name))
    return {
        "title": family.title(facts),
        "rungs": rungs,
        "rows": [rung.line.row for rung in rungs],
        "table": export(facts, family, rungs),
    }


def export(facts: DatasetFacts, family: Family, rungs: list[Rung]) -> Table:
    """Return the ladder as it is written to files."""
    data, shown = [], []
    for rung in rungs:
        row, scores = rung.line.row, rung.line.scores.get("published", {})
        mean, deviation = scores.get("dice_mean"), scores.get("dice_std")
        previous = rung.previous.line.row.method if rung.previous else None
        data.append(
            {
                "method": row.method,
                "changes": len(rung.changes),
                "turned": " ".join(rung.turned),
                "dice_mean": mean,
                "dice_std": deviation,
                "step": rung.step,
                "step_from": previous,
                "runs": len(row.ended),
                "planned": len(row.runs),
            }
        )
        shown.append(
            {
                "Method": row.method,
                "Changes": str(len(rung.changes)),
                "Turned": ", ".join(rung.turned),
                "Dice": spread(mean, deviation) + dagger(row.test_selected),
                "Step": None if rung.step is None else signed(rung.step) + dagger(rung.step_marked),
                "From": previous,
                "Runs": f"{len(row.ended)} of {len(row.runs)}",
            }
        )
    return Table(
        f"ablation-ladder-{facts.name}-{family.slug}",
        f"{family.title(facts)}: from preset paper to preset released. Dice in percent, mean ± standard deviation "
        "over seeds; steps in percentage points.",
        pd.DataFrame(data),
        pd.DataFrame(shown),
    )
