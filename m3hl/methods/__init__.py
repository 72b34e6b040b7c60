"""Training methods, one per file; `parts` holds what several of them share.

A method is a module of the same name as its knobs in `m3hl.config.methods`, with a class `Method`. One that trains
in several stages lists their classes in `STAGES`, the last of which is `Method`. One from outside has knobs and
class in one module (`m3hl.config.methods`).
"""

import importlib

from m3hl.config import methods
from m3hl.config.run import RunSettings
from m3hl.errors import UserError
from m3hl.methods.checks import check_results
from m3hl.methods.method import Method


def stages(settings: RunSettings) -> tuple[type[Method], ...]:
    """Return the stages of a run, in order; see `stages_of`."""
    return stages_of(settings.method)


def stages_of(name: str) -> tuple[type[Method], ...]:
    """Return a method's stages, in order; raises `UserError` where a method from outside has no `Method`."""
    if methods.is_ours(name):
        module = importlib.import_module(f"{__name__}.{methods.module_name(name)}")
    else:
        module = methods.load(name)
    found = getattr(module, "STAGES", None) or (getattr(module, "Method", None),)
    if not all(isinstance(stage, type) and issubclass(stage, Method) and stage is not Method for stage in found):
        raise UserError(f"{name}: this method has no class Method that inherits from m3hl.methods.method.Method")
    return found


def build(settings: RunSettings, stage: int = 0) -> Method:
    """Return a new instance of a stage of a run; initial weights come from torch's global generator.

    Raises:
        UserError: a result is none of the networks that can be saved, or there is none.
    """
    with methods.blamed(settings.method):
        method = stages(settings)[stage](settings)
        check_results(method)
    return method
