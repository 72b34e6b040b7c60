"""One module per data set: constants, splits and where its files lie. Standard library only.

A module here offers `describe(config) -> Description` and, for each source that it supports, a function that lists
the files of every case: `raw_cases(folder)`, `public_cases(folder)` with `check_public(cases)`, or
`folder_cases(table)`. A new data set is a new module and its split in `m3hl/data/splits`; nothing else names it.
"""

import importlib
import pkgutil
from types import ModuleType

from m3hl.errors import UserError


def names() -> list[str]:
    """Return the names of all data set modules."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "description")


def load(kind: str) -> ModuleType:
    """Return the module of data set `kind`; an unknown one is the user's mistake."""
    if kind not in names():
        raise UserError(f"unknown dataset kind {kind!r}; there are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{kind}")
