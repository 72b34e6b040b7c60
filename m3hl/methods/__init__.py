"""Training methods, one per file; `parts` holds what several of them share.

A method is a module of the same name as its knobs in `m3hl.config.methods`, with a class `Method`. One that trains
in several stages lists their classes in `STAGES`, the last of which is `Method`.
"""

import importlib

from m3hl.config.methods import module_name
from m3hl.config.run import RunSettings
from m3hl.methods.method import Method


def stages(settings: RunSettings) -> tuple[type[Method], ...]:
    """Return the stages of a run, in order."""
    module = importlib.import_module(f"{__name__}.{module_name(settings.method)}")
    return getattr(module, "STAGES", (module.Method,))


def build(settings: RunSettings, stage: int = 0) -> Method:
    """Return a new instance of a stage of a run; initial weights come from torch's global generator."""
    return stages(settings)[stage](settings)
