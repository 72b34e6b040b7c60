"""Learning curves of every run."""

from typing import Any

from m3hl.config import methods
from m3hl.reporting.figures.curves import (
    STYLES,
    Curves,
    diagnostics_panel,
    dice_panel,
    loss_panel,
    network_places,
    parts_panel,
    stage_borders,
)
from m3hl.reporting.study import Row, RunResult, Study

TITLE = "Learning curves"


def content(study: Study) -> dict[str, Any]:
    """Return panels for each data set and labeled count."""
    groups = {}
    for dataset in study.datasets:
        for row in study.rows(dataset):
            groups.setdefault((dataset, row.labeled), []).append(row)
    return {"groups": [group_content(study, rows) for rows in groups.values()]}


def group_content(study: Study, rows: list[Row]) -> dict[str, Any]:
    """Return the panels of one data set and labeled count."""
    order = list(study.methods)
    drawn = [row for row in rows if any(r.history is not None for r in row.runs)]
    results = [(order.index(row.method), r) for row in drawn for r in row.runs if r.history is not None]
    title, name = f"{rows[0].dataset}, {rows[0].labeled} labeled", f"{rows[0].dataset}_{rows[0].labeled}"
    curves: Curves = [(index, result.history) for index, result in results]
    parts, diagnostics = [], []
    for row in drawn:
        facts, of_row = study.methods[row.method], f"{name}_{row.method}"
        logged = methods.diagnostics(facts.algorithm)
        index = order.index(row.method)
        parts.append((index, facts, parts_panel(histories(row), f"parts-{of_row}", title, logged)))
        diagnostics.append(
            (index, facts, diagnostics_panel(histories(row), f"diagnostics-{of_row}", title, logged))
        )
    labels = {order.index(row.method): study.methods[row.method].label for row in drawn}
    split = watched_split([result for _, result in results])
    return {
        "title": title,
        "facts": study.datasets[rows[0].dataset],
        "labeled": rows[0].labeled,
        "methods": [(order.index(row.method), study.methods[row.method]) for row in drawn],
        "loss": loss_panel(curves, f"loss-{name}", title, labels) if curves else None,
        "dice": dice_panel(curves, f"dice-{name}", title, "val", split, labels),
        "pseudo": dice_panel(curves, f"pseudo-{name}", title, "pseudo", "Pseudo-label", labels),
        "split": split,
        "test_selected": any(result.test_selected for _, result in results),
        "networks": network_legend(curves),
        "parts": [part for part in parts if part[-1]],
        "diagnostics": [part for part in diagnostics if part[-1]],
        "staged": any(stage_borders(history) for _, history in curves),
        "missing": sum(result.history is None for row in rows for result in row.runs),
        "runs": sum(len(row.runs) for row in rows),
    }


def network_legend(curves: Curves) -> list[tuple[int, str]]:
    """Return each line style's number with the networks that it stands for; nothing where there is one network."""
    names: dict[int, dict[str, None]] = {}
    for _, history in curves:
        for network, place in network_places(history).items():
            names.setdefault(place % len(STYLES), {})[network.replace("_", " ")] = None
    if len({name for of_place in names.values() for name in of_place}) < 2:
        return []
    return [(place, ", ".join(of_place)) for place, of_place in sorted(names.items())]


def histories(row: Row) -> list:
    """Return the learning curves that a row has."""
    return [result.history for result in row.runs if result.history is not None]


def watched_split(results: list[RunResult]) -> str:
    """Return which split was watched in training: test only where it chose the weights."""
    rules = {result.test_selected for result in results}
    return {frozenset({True}): "Test", frozenset({True, False}): "Validation or test"}.get(
        frozenset(rules), "Validation"
    )
