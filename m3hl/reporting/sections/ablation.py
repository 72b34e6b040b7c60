"""Ablations: Table 2's losses, Fig. 4's masks, and the way from the paper's words to the released code."""

from typing import Any

from m3hl.reporting.ablations.differences import differences, has_both_presets
from m3hl.reporting.ablations.ladder import ladders
from m3hl.reporting.ablations.losses import LOSSES, loss_tables
from m3hl.reporting.ablations.mask import mask_grids
from m3hl.reporting.comparison import run_dice
from m3hl.reporting.study import Study
from m3hl.reporting.tables import lines

TITLE = "Ablations"


def content(study: Study) -> dict[str, Any] | None:
    """Return the ablations of every data set that has any; None without one."""
    dice = run_dice(study)
    found = [data for name in study.datasets if (data := dataset_content(study, name, dice))]
    return {"datasets": found, "losses": list(LOSSES.values())} if found else None


def dataset_content(study: Study, name: str, dice: dict[tuple, float]) -> dict[str, Any] | None:
    """Return one data set's ablations; None without any."""
    facts, known = study.datasets[name], lines(study, name)
    found = ladders(facts, known, dice)
    parts = {
        "loss_tables": loss_tables(facts, known),
        "grids": mask_grids(facts, known),
        "ladders": found,
        "differences": differences(facts, known) if found or has_both_presets(known) else None,
    }
    return {"facts": facts, **parts} if any(parts.values()) else None
