"""Training methods, one per file, and the pieces that they share.

A method is a module of the same name as its knobs in `m3hl.config.methods`, with a class `Method`.
"""

import importlib

from m3hl.config.run import RunSettings
from m3hl.methods.method import Method


def build(settings: RunSettings) -> Method:
    """Return a new instance of the run's method; initial weights come from torch's global generator."""
    return importlib.import_module(f"{__name__}.{settings.method}").Method(settings)
