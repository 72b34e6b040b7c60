"""Fig. 4: Dice and ASD by mask patch size and mask ratio."""

from math import prod
from typing import Any

import pandas as pd

from m3hl.evaluation.summary import CONVENTIONS, Convention
from m3hl.reporting import published
from m3hl.reporting.ablations.families import Family, families
from m3hl.reporting.exports import Table
from m3hl.reporting.facts import DatasetFacts
from m3hl.reporting.figures.heatmap import Cell, Side, heatmap
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.tables import Line
from m3hl.reporting.text import dagger, number, times

Patch = tuple[int, ...]
Place = tuple[float, Patch]
"""Mask ratio, and mask patch size in voxels."""
Grid = dict[Place, Line]
PANELS = {"dice": ("Dice", "%", True), "asd": ("ASD", "voxels", False)}
"""Name, unit, and whether high is good, of the paper's two panels."""


def mask_grids(facts: DatasetFacts, lines: list[Line]) -> list[dict[str, Any]]:
    """Return heatmaps for each family of a data set's lines that varies the mask."""
    return [mask_grid(facts, family) for family in families(lines, lambda _: {"mask_patch_size", "mask_ratio"})]


def mask_grid(facts: DatasetFacts, family: Family) -> dict[str, Any]:
    """Return one family's heatmaps, and what a reader must know of them."""
    grid = {(options["mask_ratio"], options["mask_patch_size"]): line for options, line in family.members}
    ended = [place for place, line in grid.items() if line.scores]
    compares = (facts.kind, facts.synthetic) == (published.FIGURE4_KIND, False)
    return {
        "title": family.title(facts),
        "rows": [line.row for line in grid.values()],
        "lines": [
            (shown_ratio(ratio), shown_patch(patch), grid[ratio, patch])
            for ratio, patch in sorted(grid, key=order)
        ],
        "panels": panels(facts, family, grid) if ended else [],
        "best": best(grid, ended) if ended else [],
        "ended": len(ended),
        "holes": len(patches(grid)) * len(ratios(grid)) - len(grid),
        "printed": compares and family.labeled == published.LABELED[facts.kind],
        "table": export(facts, family, grid),
    }


def panels(facts: DatasetFacts, family: Family, grid: Grid) -> list[tuple[str, str, Convention | None, Drawing]]:
    """Return name, unit, convention (None: it makes no difference) and drawing of each panel."""
    found = []
    for metric, (name, unit, high_is_good) in PANELS.items():
        drawn = {convention: cells(grid, metric, convention) for convention in CONVENTIONS}
        differ = drawn["published"] != drawn["failures"]
        for convention in CONVENTIONS if differ else CONVENTIONS[:1]:
            ending = "-failures" if convention == "failures" else ""
            drawing = heatmap(
                drawn[convention],
                Side(f"mask patch size ({'pixels' if family.settings.dimensions == 2 else 'voxels'})",
                     [shown_patch(patch) for patch in patches(grid)]),
                Side("mask ratio", [shown_ratio(ratio) for ratio in ratios(grid)]),
                high_is_good=high_is_good,
                name=f"ablation-mask-{metric}-{facts.name}-{family.slug}{ending}",
                description=f"{name} in {unit} by mask patch size and mask ratio, {facts.name}.",
            )  # fmt: skip
            found.append((name, unit, convention if differ else None, drawing))
    return found


def cells(grid: Grid, metric: str, convention: Convention) -> list[list[Cell]]:
    """Return the heatmap's cells: a row for each ratio, a column for each patch size."""
    return [
        [cell(grid.get((ratio, patch)), metric, convention) for patch in patches(grid)] for ratio in ratios(grid)
    ]


def cell(line: Line | None, metric: str, convention: Convention) -> Cell:
    """Return one cell; it is hatched while the runs of `line` have not ended."""
    if line is None or not line.scores:
        return Cell(planned=line is not None)
    mean, deviation = (line.scores[convention][f"{metric}_{part}"] for part in ("mean", "std"))
    text = number(mean) + dagger(line.row.test_selected)
    return Cell(mean, text if deviation != deviation else f"{text}\n± {number(deviation)}")


def best(grid: Grid, ended: list[Place]) -> list[tuple[str, str, str]]:
    """Return each panel's name and where its best mean is: patch size and ratio; the first of equal ones."""
    found = []
    for metric, (name, _, high_is_good) in PANELS.items():
        sign = 1 if high_is_good else -1
        ratio, patch = max(ended, key=lambda place: sign * grid[place].scores["published"][f"{metric}_mean"])
        found.append((name, shown_patch(patch), shown_ratio(ratio)))
    return found


def export(facts: DatasetFacts, family: Family, grid: Grid) -> Table:
    """Return the cells as a table to be written to files: distances of the published convention."""
    data, shown = [], []
    for ratio, patch in sorted(grid, key=order):
        row, scores = grid[ratio, patch].row, grid[ratio, patch].scores.get("published", {})
        numbers = {f"{m}_{part}": scores.get(f"{m}_{part}") for m in PANELS for part in ("mean", "std")}
        texts = {name: cell(grid[ratio, patch], m, "published").text for m, (name, _, _) in PANELS.items()}
        runs = {"runs": len(row.ended), "planned": len(row.runs)}
        data.append({"mask_patch_size": times(patch), "mask_ratio": ratio, **numbers, **runs})
        shown.append(
            {"Patch size": shown_patch(patch), "Mask ratio": shown_ratio(ratio)}
            | {name: " ".join(text.split()) for name, text in texts.items()}
            | {"Runs": f"{runs['runs']} of {runs['planned']}"}
        )
    return Table(
        f"ablation-mask-{facts.name}-{family.slug}",
        f"{family.title(facts)}: Dice in percent and ASD in voxels by mask patch size and mask ratio, mean ± "
        "standard deviation over seeds.",
        pd.DataFrame(data),
        pd.DataFrame(shown),
    )


def patches(grid: Grid) -> list[Patch]:
    """Return the patch sizes, small ones first."""
    return sorted({patch for _, patch in grid}, key=lambda patch: (prod(patch), patch))


def ratios(grid: Grid) -> list[float]:
    """Return the ratios, small ones first."""
    return sorted({ratio for ratio, _ in grid})


def order(place: Place) -> tuple[int, Patch, float]:
    """Return a key that sorts by patch size, then by ratio."""
    ratio, patch = place
    return prod(patch), patch, ratio


def shown_patch(patch: Patch) -> str:
    """Return a patch size as the paper writes it: one number where all axes have the same."""
    return times(patch) if len(set(patch)) > 1 else str(patch[0])


def shown_ratio(ratio: float) -> str:
    """Return a ratio in percent."""
    return f"{100 * ratio:g}\u00a0%"
