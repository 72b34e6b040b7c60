"""What a system of the field really is: whose numbers Table 1 prints, and where print and released code differ.

One file per method in `findings/`. Its methods page in docs/ holds the details and the sources.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from m3hl.config import methods
from m3hl.reporting.published import table1

FINDINGS = Path(__file__).parent / "findings"
TABLE_1 = {"acdc": "ACDC", "la": "LA"}
"""Kinds of data sets, and what a reader calls them."""


@dataclass(frozen=True)
class Lineage:
    """What is known of one method.

    Attributes:
        summary: what it does, in a sentence.
        findings: what a reader of its numbers should know, a sentence or two each.
        code: the released code, with its commit; "" where there is none.
        acdc, la: where the numbers come from that Table 1 prints for it; "" where it is no row.
    """

    summary: str
    findings: tuple[str, ...]
    code: str = ""
    acdc: str = ""
    la: str = ""


def lineage(method: str) -> Lineage | None:
    """Return what is known of a method of the project; None for one from outside."""
    if not methods.is_ours(method):
        return None
    values = tomllib.loads((FINDINGS / f"{method}.toml").read_text(encoding="utf-8"))
    return Lineage(**values | {"findings": tuple(values["findings"])})


def in_print_order(names: set[str]) -> list[str]:
    """Return methods as Table 1 has them, then the others by name."""
    printed = [row.ours for row in table1("acdc")]
    return sorted(names, key=lambda name: (printed.index(name) if name in printed else len(printed), name))
