"""What the study's methods really are: whose numbers are printed, and where print and released code differ."""

from dataclasses import asdict
from typing import Any

from m3hl.config import methods
from m3hl.reporting.lineage import lineage
from m3hl.reporting.published import table1
from m3hl.reporting.study import Study

TITLE = "What each method really is"
TABLE_1 = {"acdc": "ACDC", "la": "LA"}


def content(study: Study) -> dict[str, Any] | None:
    """Return what is known of each system of the study in the order of Table 1, None where there is none."""
    entries = [entry(name) for name in in_print_order({facts.algorithm for facts in study.methods.values()})]
    found = [one for one in entries if one]
    return {"entries": found} if found else None


def in_print_order(names: set[str]) -> list[str]:
    """Return methods as Table 1 has them, then the others by name."""
    printed = [row.ours for row in table1("acdc")]
    return sorted(names, key=lambda name: (printed.index(name) if name in printed else len(printed), name))


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
