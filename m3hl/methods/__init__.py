"""Training methods, one per file; `parts` holds what several of them share.

A method is a module of the same name as its knobs in `m3hl.config.methods`, with a class `Method`. One that trains
in several stages lists their classes in `STAGES`, the last of which is `Method`.
"""

import importlib

from m3hl.config.methods import module_name
from m3hl.config.run import RunSettings
from m3hl.inference.weights import members, require_fitting
from m3hl.methods.method import Method


def stages(settings: RunSettings) -> tuple[type[Method], ...]:
    """Return the stages of a run, in order."""
    module = importlib.import_module(f"{__name__}.{module_name(settings.method)}")
    return getattr(module, "STAGES", (module.Method,))


def build(settings: RunSettings, stage: int = 0) -> Method:
    """Return a new instance of a stage of a run; initial weights come from torch's global generator.

    Raises:
        ValueError: a result is none of the networks that can be saved.
    """
    method = stages(settings)[stage](settings)
    for network in method.results().values():
        require_fitting(settings, network.state_dict(), members(network))
    return method
