"""In what the presets `paper` and `released` differ."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from m3hl.config.methods import m3hl
from m3hl.config.run import RunSettings
from m3hl.reporting.ablations.families import m3hl_lines, preset_options
from m3hl.reporting.exports import Table
from m3hl.reporting.facts import DatasetFacts, plain
from m3hl.reporting.tables import Line

PAPER, RELEASED = "paper", "released"


def differing(settings: RunSettings) -> dict[str, tuple[Any, Any]]:
    """Return the options in which the presets differ on a run's data, with the paper's and the released value."""
    paper, released = preset_options(PAPER, settings), preset_options(RELEASED, settings)
    return {key: (paper[key], released[key]) for key in paper if paper[key] != released[key]}


def has_both_presets(lines: list[Line]) -> bool:
    """Return whether a data set's lines of M³HL start from both presets."""
    return {line.row.settings.preset for line in m3hl_lines(lines)} == {PAPER, RELEASED}


def differences(facts: DatasetFacts, lines: list[Line]) -> Table:
    """Return in what the presets differ on a data set that has lines of M³HL."""
    settings = m3hl_lines(lines)[0].row.settings

    def frame(write: Callable[[Any], str]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"option": option, PAPER: write(paper), RELEASED: write(released), "meaning": meaning(option)}
                for option, (paper, released) in differing(settings).items()
            ]
        )

    return Table(
        f"ablation-differences-{facts.name}",
        f"{facts.name}: in what the presets paper and released of M³HL differ on {settings.dimensions}D data.",
        frame(json.dumps),
        frame(plain),
    )


def meaning(option: str) -> str:
    """Return what an option of M³HL is, from its own documentation."""
    return " ".join((m3hl.Options.model_fields[option].description or "").replace("`", "").split())
