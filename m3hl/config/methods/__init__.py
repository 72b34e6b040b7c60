"""Methods: their knobs (`Options`), their presets, and what people call them.

A module here offers `TITLE`, `Options`, a model that inherits from `OptimizerOptions`, and
`preset(name, dimensions)`, which returns the keys that a preset sets; `PRESETS` lists the names, the default
first. Where a method is published with a training of its own, `training(preset, dimensions)` returns these keys of
`training:`; a configuration's come before them, a data set's after. `PROCESSES` says how many processes can train
one run, where it is more than one; `DIMENSIONS`, for which data a method is, where it is not for 2D and 3D.
`DIAGNOSTICS` names what the method logs that is no part of its loss, such as a share of voxels or a ramp, with
what a reader of the learning curves is told that it is. For `m3hl methods` there are `PUBLICATION`,
`CODE_LICENSE` (of the released code, of which nothing is in here) and `COST`: the network's passes of a step, of
the last stage, in those of supervised training on as many images.

The algorithm is the module of the same name in `m3hl.methods`. A new method is one module here and one there;
nothing else names it. A dash in a method's name is an underscore in its module's.

A method from outside of the project is one module that offers all this and the class `Method`: a file, which a
configuration names by its path (`method: ./mine.py`), or a module of an installed package, by the name of its
entry point in the group `m3hl.methods`.
"""

import importlib
import pkgutil
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from m3hl.config import outside
from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.errors import UserError, nearest

GROUP = "m3hl.methods"
"""Of entry points."""
OFFERED = ("PRESETS", "Options", "preset")
"""What a module must have."""

SHARED = {"optimizer", "two_heads"}
"""Modules here with knobs that several methods have."""


def names() -> list[str]:
    """Return the names of all methods of the project."""
    modules = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(name.replace("_", "-") for name in modules - SHARED)


@cache
def installed() -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of installed packages' methods by name; more than one of a name is a mistake."""
    found = entry_points(group=GROUP)
    return {name: tuple(found.select(name=name)) for name in sorted(found.names)}


@cache
def is_ours(method: str) -> bool:
    """Return whether a method is one of the project's."""
    return method in names()


def module_name(method: str) -> str:
    """Return the name of a method's module, in this package and in `m3hl.methods`, for one of the project's."""
    return method.replace("-", "_")


def module_path(method: str) -> str:
    """Return the full name of the module that holds a method's knobs.

    Raises:
        UserError: there is no such method, or more than one.
    """
    packages = installed().get(method, ())
    if len(packages) + is_ours(method) > 1:
        owners = ["m3hl"] * is_ours(method) + [package_of(entry)["package"] for entry in packages]
        raise UserError(f"method {method} is offered by {' and '.join(owners)}; uninstall one, or name a file")
    if is_ours(method):
        return f"{__name__}.{module_name(method)}"
    if packages:
        return packages[0].module
    if outside.is_path(method):
        return outside.module_of(method)
    known = [*names(), *installed()]
    beside = Path(f"{method}.py").is_file()
    hint = f"; a file is named by its path, ./{method}.py" if beside else nearest(method, known)
    raise UserError(f"unknown method {method!r}; there are {', '.join(known)}{hint}")


def load(method: str) -> ModuleType:
    """Return the module with a method's knobs.

    Raises:
        UserError: there is no such method, or it is from outside and lacks what a method must have.
    """
    path = module_path(method)
    if is_ours(method):
        return importlib.import_module(path)
    module = outside.load_file(method) if outside.is_path(method) else outside.load(path, method)
    if missing := [name for name in OFFERED if not hasattr(module, name)]:
        raise UserError(f"{method}: this method has no {' and no '.join(missing)}; docs/own-method.md shows one")
    if not (isinstance(module.Options, type) and issubclass(module.Options, OptimizerOptions)):
        raise UserError(f"{method}: Options must inherit from m3hl.config.methods.optimizer.OptimizerOptions")
    if not module.PRESETS or isinstance(module.PRESETS, str):
        raise UserError(f'{method}: PRESETS must list the names of its presets, such as ("default",)')
    return module


def blamed(method: str) -> AbstractContextManager[None]:
    """Return a context in which an exception of a method from outside becomes one line; ours keep theirs."""
    return nullcontext() if is_ours(method) else outside.blamed(module_path(method), method)


def package_of(entry: EntryPoint) -> dict[str, str]:
    """Return the package of an entry point, and its version."""
    return {"package": entry.dist.name, "version": entry.dist.version} if entry.dist else {"package": entry.value}


def preset(method: str, name: str, dimensions: int) -> dict[str, Any]:
    """Return the keys that a preset of `method` sets for 2D or 3D data.

    Raises:
        UserError: there is no such preset, or it has nothing for such data.
    """
    module = load(method)
    if name not in module.PRESETS:
        verb = "is" if len(module.PRESETS) == 1 else "are"
        raise UserError(f"unknown preset {name!r} of method {method}; there {verb} {', '.join(module.PRESETS)}")
    with blamed(method):
        try:
            keys = module.preset(name, dimensions)
        except LookupError:
            keys = None
    if not isinstance(keys, dict):
        raise UserError(
            f"{method}: preset {name!r} has nothing for {dimensions}D data; let preset({name!r}, {dimensions}) "
            "return a dict of options"
        )
    return keys


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
