"""One module per data set: what it is, and the settings that the literature trains with on it.

A module here offers `describe(config) -> Description`; where the data set's files lie says the module of the same
name in `m3hl.data.datasets`. A new data set is one module here, one there, and its split in `m3hl/data/splits`;
nothing else names it.
"""

import importlib
import pkgutil

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets.description import Description
from m3hl.errors import UserError


def names() -> list[str]:
    """Return the names of all data sets."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "description")


def require(kind: str) -> None:
    """Raise `UserError` for a kind of data set that there is not."""
    if kind not in names():
        raise UserError(f"unknown dataset kind {kind!r}; there are {', '.join(names())}")


def describe(config: DatasetConfig) -> Description:
    """Return the description of a configured data set.

    Raises:
        UserError: there is no such kind, slices shall be shrunk or resampled, or volumes both.
    """
    require(config.kind)
    description = importlib.import_module(f"{__name__}.{config.kind}").describe(config)
    if config.shrink and description.dimensions == 2:
        raise UserError("shrink is for volumes; slices are resized to the crop, so set training: {crop: [H, W]}")
    if description.spacing != "none" and description.dimensions == 2:
        raise UserError("spacing is for volumes; slices are resized to the crop, so set training: {crop: [H, W]}")
    if description.spacing != "none" and config.shrink:
        raise UserError("shrink and spacing both make voxels larger; give spacing alone")
    return description
