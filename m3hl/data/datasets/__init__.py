"""One module per data set: where its files lie. Standard library only.

A module here offers, for each source that it supports, a function that lists the files of every case:
`raw_cases(folder)`, `public_cases(folder)` with `check_public(cases)`, or `folder_cases(table)`. What the data set
is says the module of the same name in `m3hl.config.datasets`.
"""

import importlib
from types import ModuleType

from m3hl.config import datasets


def load(kind: str) -> ModuleType:
    """Return the module of data set `kind`; an unknown one is the user's mistake."""
    datasets.require(kind)
    return importlib.import_module(f"{__name__}.{kind}")
