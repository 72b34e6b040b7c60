"""The settings of one run, with every default and preset resolved: what training reads, and nothing else."""

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    PositiveInt,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from m3hl.config import methods
from m3hl.config.base import Model
from m3hl.config.dataset import DatasetConfig, Extent, Factors
from m3hl.config.datasets.description import Description
from m3hl.config.methods.optimizer import DIVISOR, OptimizerOptions
from m3hl.errors import UserError
from m3hl.files.digests import sha256_json


class AnyOptions(OptimizerOptions):
    """The knobs of a method whose code is not at hand, or not to be run."""

    model_config = ConfigDict(extra="allow")

    def check(self, crop: tuple[int, ...], labeled: int, unlabeled: int) -> None:
        """Check nothing: what was trained did fit."""


class RunSettings(Model):
    """All that decides the outcome of a training run, besides the data."""

    method: str
    """Name of the algorithm: a module in `m3hl.methods`, an entry point of a package, or the path of a file."""
    preset: str
    """Name of the preset that `options` started from."""
    options: SerializeAsAny[OptimizerOptions]
    """The method's knobs."""
    network: str | None = None
    """A network of a user's own (`m3hl.config.networks`); None: the U-Net or the V-Net."""
    dimensions: Literal[2, 3]
    classes: tuple[str, ...]
    channels: PositiveInt
    crop: Extent
    labeled_batch: PositiveInt
    unlabeled_batch: PositiveInt
    iterations: PositiveInt
    validate_every: PositiveInt
    selection: Literal["val", "last", "test"]
    shrink: Factors | None = None
    """Voxels of the original along each axis that are one in the store."""
    largest_component: bool = False
    """Whether validation keeps only the largest component of a class, as the final evaluation does."""
    deterministic: bool = False
    """Whether CUDA uses only algorithms that give the same bits every time."""
    images: tuple[str, ...] = ()
    """Names of each case's images where there are several: told by the store, not by the configuration."""
    labeled: PositiveInt | Literal["all"]
    """Labeled patients (or scans), the first so many of the data set's labeled order."""
    seed: int

    @field_validator("options", mode="before")
    @classmethod
    def _typed(cls, options: object, info: ValidationInfo) -> object:
        if not isinstance(options, dict):
            return options
        method = info.data["method"]
        known = methods.is_ours(method) or not (info.context or {}).get("untrusted")
        return (methods.load(method).Options if known else AnyOptions)(**options)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.crop) != self.dimensions:
            raise ValueError(f"crop {list(self.crop)} has {len(self.crop)} axes, the data {self.dimensions}")
        if any(n % DIVISOR for n in self.crop):
            raise ValueError(f"crop {list(self.crop)} must be a multiple of {DIVISOR} along each axis")
        self.options.check(self.crop, self.labeled_batch, self.unlabeled_batch)
        if self.network is not None and (wanted := self.options.beyond_logits()):
            raise ValueError(
                f"method {self.method} reads {wanted} of its network, and {self.network} has logits alone; leave "
                "network out, or take a method that m3hl methods calls one for own networks"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not there: runs of one image and of our networks keep their digests."""
        values = serialize(self)
        return {k: value for k, value in values.items() if value or k not in ("network", "images")}

    @property
    def inputs(self) -> int:
        """Channels of an image, which the network's first layer takes: its images, together."""
        return len(self.images) or 1

    def on(self, images: tuple[str, ...]) -> Self:
        """Return the settings for cases with images of these names; none: one image."""
        known = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_validate(known | {"images": images})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings: two runs with the same digest and data are the same run."""
        return sha256_json(self.model_dump(mode="json"))


def check_stride(stride: tuple[int, ...] | None, crop: tuple[int, ...]) -> None:
    """Raise `UserError` unless windows of `crop` voxels that are `stride` voxels apart leave no gap.

    Slices (2D crops) have no windows, so their stride must be None.
    """
    if len(crop) == 2:
        if stride is not None:
            raise UserError(f"stride {list(stride)} is for 3D; 2D data are segmented slice by slice")
    elif stride is None or len(stride) != len(crop) or any(s > n for s, n in zip(stride, crop, strict=True)):
        raise UserError(
            f"stride {list(stride or ())} must be {len(crop)} numbers of voxels, none above the crop "
            f"{list(crop)}: windows would leave gaps"
        )


def published_or(config: DatasetConfig, description: Description, *method: str) -> dict[str, object]:
    """Return the training settings: what the config says, else the published ones.

    Args:
        config: the data set.
        description: its published settings.
        *method: name and preset, whose own published settings come before the data set's; none: left out.
    """
    published = {
        "channels": 16,
        "crop": description.crop,
        "labeled_batch": description.labeled_batch,
        "unlabeled_batch": description.unlabeled_batch,
        "iterations": description.iterations,
        "validate_every": description.validate_every,
        "selection": description.selection,
        "largest_component": description.largest_component,
        "shrink": config.shrink,
    }
    own = methods.training(*method, description.dimensions) if method else {}
    return published | own | config.training.model_dump(exclude_none=True)
