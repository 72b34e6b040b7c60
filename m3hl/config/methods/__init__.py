"""One module per method: its knobs (`Options`) and its presets.

A module here offers `Options`, a model that inherits from `OptimizerOptions`, and `preset(name, dimensions)`,
which returns the keys that a preset sets; `PRESETS` lists the names, the default first. The algorithm is the
module of the same name in `m3hl.methods`. A new method is one module here and one there; nothing else names it.
"""

import importlib
import pkgutil
from types import ModuleType

from m3hl.errors import UserError


def names() -> list[str]:
    """Return the names of all methods."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "optimizer")


def load(method: str) -> ModuleType:
    """Return the module of `method`; an unknown one is the user's mistake."""
    if method not in names():
        raise UserError(f"unknown method {method!r}; there are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{method}")
