"""What the study's methods really are: whose numbers are printed, and where print and released code differ."""

from dataclasses import asdict
from typing import Any

from m3hl.config import methods
from m3hl.reporting.lineage import TABLE_1, in_print_order, lineage
from m3hl.reporting.study import Study

TITLE = "What each method really is"


def content(study: Study) -> dict[str, Any] | None:
    """Return what is known of each system of the study in the order of Table 1, None where there is none."""
    entries = [entry(name) for name in in_print_order({facts.algorithm for facts in study.methods.values()})]
    found = [one for one in entries if one]
    return {"entries": found} if found else None


def entry(method: str) -> dict[str, Any] | None:
    """Return what the page shows of one method."""
    known = lineage(method)
    if known is None:
        return None
    module = methods.load(method)
    printed = [(title, getattr(known, kind)) for kind, title in TABLE_1.items() if getattr(known, kind)]
    return asdict(known) | {
        "title": module.TITLE,
        "publication": getattr(module, "PUBLICATION", ""),
        "presets": module.PRESETS,
        "printed": printed,
    }
