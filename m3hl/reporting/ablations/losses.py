"""Table 2: which losses are on, beside the printed numbers where they compare."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from m3hl.config.methods import m3hl
from m3hl.reporting import published
from m3hl.reporting.ablations.families import Family, families
from m3hl.reporting.exports import Table
from m3hl.reporting.facts import DatasetFacts
from m3hl.reporting.published import PublishedLosses
from m3hl.reporting.tables import Line
from m3hl.reporting.text import dagger, number, spread

LOSSES = {"supervised_loss": "L_sup", "mix_loss": "L_mix", "consistency_loss": "L_HL"}
METRICS = {"dice": "Dice", "jaccard": "Jaccard", "hd95": "95HD", "asd": "ASD"}

Choice = tuple[bool, ...]
"""Whether L_sup, L_mix and L_HL are on."""
SUPERVISED: Choice = (True, False, False)
UNLABELED_ONLY: Choice = (False, False, True)


@dataclass(frozen=True)
class LossLine:
    """One choice of losses.

    Attributes:
        losses: which are on.
        mixed: whether the mask is used; if not, the line is a control that the paper does not have.
        line: its numbers; None where the study does not have it.
        printed: the paper's row; None where there is none to compare with.
    """

    losses: Choice
    mixed: bool
    line: Line | None
    printed: PublishedLosses | None


def loss_tables(facts: DatasetFacts, lines: list[Line]) -> list[dict[str, Any]]:
    """Return a table for each family of a data set's lines that turns losses or the mask off and on."""
    return [loss_table(facts, family, lines) for family in families(lines, lambda _: {*LOSSES, "mix"})]


def loss_table(facts: DatasetFacts, family: Family, lines: list[Line]) -> dict[str, Any]:
    """Return one family's lines, and what a reader must know of them."""
    compares = (facts.kind, facts.synthetic) == (published.TABLE2_KIND, False)
    compares = compares and family.labeled == published.LABELED[facts.kind]
    compares = compares and any(family.agrees(preset) for preset in m3hl.PRESETS)
    found = loss_lines(family, lines, compares)
    return {
        "title": family.title(facts),
        "lines": found,
        "compares": compares,
        "notes": published.TABLE2_NOTES if compares else (),
        "unlabeled_only": any(line.losses == UNLABELED_ONLY for line in found),
        "controls": any(not line.mixed for line in found),
        "rows": [line.line.row for line in found if line.line],
        "table": export(facts, family, found, compares),
    }


def loss_lines(family: Family, lines: list[Line], compares: bool) -> list[LossLine]:
    """Return a family's lines and the supervised ones in the order of Table 2, then the controls."""
    choices = [(tuple(options[key] for key in LOSSES), options["mix"], line) for options, line in family.members]
    choices += [
        (SUPERVISED, True, line)
        for line in lines
        if line.row.labeled == family.labeled and line.row.settings.method == "supervised"
    ]
    found = []
    for row in published.TABLE2:
        printed = row if compares else None
        known = [line for losses, mixed, line in choices if mixed and losses == row.losses]
        found += [LossLine(row.losses, True, line, printed) for line in known]
        if compares and not known:
            found.append(LossLine(row.losses, True, None, printed))
    return found + [LossLine(losses, False, line, None) for losses, mixed, line in choices if not mixed]


def export(facts: DatasetFacts, family: Family, lines: list[LossLine], compares: bool) -> Table:
    """Return the table as it is written to files: distances of the published convention."""
    records = [record(line, compares) for line in lines]
    return Table(
        f"ablation-losses-{facts.name}-{family.slug}",
        f"{family.title(facts)}: which losses are on, and whether the mask is used. Mean ± standard deviation "
        "over seeds; overlaps in percent, distances in voxels.",
        pd.DataFrame([data for data, _ in records]),
        pd.DataFrame([shown for _, shown in records]),
    )


def record(line: LossLine, compares: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a line's numbers as they are, and as a reader wants them."""
    row, scores = (line.line.row, line.line.scores.get("published", {})) if line.line else (None, {})
    label = row.method if row else line.printed.method
    on = dict(zip(LOSSES.values(), line.losses, strict=True)) | {"mask": line.mixed}
    data = {"method": label, **on}
    shown = {"Method": label} | {name: "yes" if value else "" for name, value in on.items()}
    for metric, name in METRICS.items():
        if compares:
            data[f"{metric}_printed"] = getattr(line.printed, metric, None)
            shown[f"{name}, printed"] = number(data[f"{metric}_printed"])
        mean, deviation = scores.get(f"{metric}_mean"), scores.get(f"{metric}_std")
        data |= {f"{metric}_mean": mean, f"{metric}_std": deviation}
        shown[name] = spread(mean, deviation) + dagger(bool(scores) and row.test_selected)
    ended, planned = (len(row.ended), len(row.runs)) if row else (0, 0)
    return data | {"runs": ended, "planned": planned}, shown | {"Runs": f"{ended} of {planned}"}
