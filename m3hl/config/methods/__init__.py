"""One module per method: its knobs (`Options`), its presets, and what people call it.

A module here offers `TITLE`, `Options`, a model that inherits from `OptimizerOptions`, and
`preset(name, dimensions)`, which returns the keys that a preset sets; `PRESETS` lists the names, the default
first. Where a method is published with a training of its own, `training(preset, dimensions)` returns these keys of
`training:`; a configuration's come before them, a data set's after. `PROCESSES` says how many processes can train
one run, where it is more than one; `DIMENSIONS`, for which data a method is, where it is not for 2D and 3D.
`DIAGNOSTICS` names what the method logs that is no part of its loss, such as a share of voxels or a ramp, with
what a reader of the learning curves is told that it is.

The algorithm is the module of the same name in `m3hl.methods`. A new method is one module here and one there;
nothing else names it. A dash in a method's name is an underscore in its module's.
"""

import importlib
import pkgutil
from types import ModuleType

from m3hl.errors import UserError

SHARED = {"optimizer", "two_heads"}
"""Modules here with knobs that several methods have."""


def names() -> list[str]:
    """Return the names of all methods."""
    modules = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(name.replace("_", "-") for name in modules - SHARED)


def module_name(method: str) -> str:
    """Return the name of a method's module."""
    return method.replace("-", "_")


def load(method: str) -> ModuleType:
    """Return the module of `method`; an unknown one is the user's mistake."""
    if method not in names():
        raise UserError(f"unknown method {method!r}; there are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{module_name(method)}")


def processes(method: str) -> int:
    """Return how many processes can train one run of `method`."""
    return getattr(load(method), "PROCESSES", 1)


def dimensions(method: str) -> tuple[int, ...]:
    """Return the dimensions of the data that `method` is for."""
    return getattr(load(method), "DIMENSIONS", (2, 3))


def training(method: str, preset: str, dimensions: int) -> dict[str, object]:
    """Return the keys of `training:` that a preset of `method` is published with for 2D or 3D data."""
    module = load(method)
    return module.training(preset, dimensions) if hasattr(module, "training") else {}


def diagnostics(method: str) -> dict[str, str]:
    """Return the columns of history.csv that are no part of the loss of `method`, and what they are."""
    return getattr(load(method), "DIAGNOSTICS", {})
