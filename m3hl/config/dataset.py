"""The `datasets:` section: where images come from and how a network is fed with them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from m3hl.config.base import Model
from m3hl.errors import UserError

Extent = Annotated[tuple[Annotated[int, Field(gt=0, le=2**14)], ...], Field(min_length=2, max_length=3)]
"""Voxels along each axis: (H, W) in 2D, (X, Y, Z) in 3D."""
Factors = Annotated[tuple[Annotated[int, Field(gt=0, le=64)], ...], Field(min_length=3, max_length=3)]
"""Voxels along each axis (X, Y, Z) that become one."""
Orientation = Annotated[str, Field(pattern="^(none|common|[LRPASI]{3})$")]
Millimetres = Annotated[tuple[Annotated[float, Field(gt=0, le=1000)], ...], Field(min_length=3, max_length=3)]
"""Along each axis (X, Y, Z)."""


CUSTOM_ONLY = {"dimensions", "classes", "labels", "normalization", "orientation", "spacing"}


class PhantomConfig(Model):
    """How many patients the synthetic data set has, and how they are drawn."""

    train: PositiveInt = 24
    """Training patients; all have labels, and the run decides how many of these it may see."""
    val: int = Field(4, ge=0)
    """Validation patients."""
    test: PositiveInt = 10
    """Test patients."""
    size: Annotated[tuple[Annotated[int, Field(gt=0, le=1024)], ...], Field(min_length=2, max_length=3)] | None = (
        None
    )
    """Voxels of one raw image; left out, the data set's own default."""
    seed: int = 2025
    """Seed of anatomy, contrast, bias field, blur and noise."""


class TrainingConfig(Model):
    """How long and on what a network is trained; a key left out has the published value of the data set."""

    channels: int | None = Field(None, gt=0, le=1024)
    """Feature channels of the network's first level (published: 16); each level below has twice as many."""
    crop: Extent | None = None
    """Voxels that the network sees: 2D slices are resized to it, 3D volumes are cropped to it."""
    labeled_batch: int | None = Field(None, gt=0, le=2**14)
    """Labeled samples in a batch; for M³HL an even number, as each half feeds one stream."""
    unlabeled_batch: int | None = Field(None, gt=0, le=2**14)
    """Unlabeled samples in a batch; for M³HL as many as labeled ones, since they are mixed in pairs. The
    supervised baseline takes labeled ones in their place."""
    iterations: PositiveInt | None = None
    """Optimiser steps."""
    validate_every: PositiveInt | None = None
    """Iterations between two validations, each followed by a checkpoint."""
    selection: Literal["val", "last", "test"] | None = None
    """Which weights are evaluated: best on the validation split, those of the last iteration, or best on the
    test split (what others did on LA; every number made so is marked)."""
    deterministic: bool | None = None
    """Whether CUDA uses only algorithms that give the same bits every time, which costs time (default: no).
    A CPU always does, with the same number of threads and on CPUs of the same kind."""


class EvaluationConfig(Model):
    """How a trained network is applied and measured."""

    stride: Extent | None = None
    """Voxels between two windows in 3D; left out, the published (18, 18, 4)."""
    cases: PositiveInt | None = None
    """Only the first so many cases of the split; left out, all. For machines without a GPU."""


class DatasetConfig(Model):
    """One data set."""

    kind: str
    """Name of a module in `m3hl/data/datasets`: acdc, la, or custom (your own images)."""
    source: Literal["phantom", "raw", "public", "folder"]
    """phantom: synthetic images in the raw layout; raw: the challenge's own files; public: the preprocessed
    HDF5 files that the literature trains on; folder: your own images, listed in a CSV."""
    path: Path | None = None
    """Where the files are, relative to the working directory (folder: the CSV). Not used by phantom."""
    download: bool = False
    """Fetch missing files into `path`; the licence is shown, and using them means that you accept it."""
    phantom: PhantomConfig = PhantomConfig()
    """Only read when `source: phantom`."""
    crop_around: Literal["label", "center"] = "label"
    """LA raw only. label: the field's crop around the ground truth (test scans included); center: the middle
    of the scan, without a look at the label."""
    hold_out: int = Field(0, ge=0)
    """So many patients from the end of the training list become validation patients; for data sets without
    a validation split."""
    dimensions: Literal[2, 3] | None = None
    """Custom only. 2: a U-Net, slice by slice; 3: a V-Net on volumes."""
    classes: tuple[str, ...] | None = None
    """Custom only: names of the labels 1, 2, …; 0 is the background."""
    labels: dict[str, int | Annotated[tuple[int, ...], Field(min_length=1)]] = {}
    """Custom only. What files hold for each class, where it is not 1, 2, …: {liver: 255}, or {liver: 1, tumor:
    [2, 3]}. The classes may then be left out, and other values count as background."""
    normalization: Literal["minmax", "zscore"] = "zscore"
    """Custom only. minmax: each volume to [0, 1]; zscore: each volume to mean 0, variance 1."""
    orientation: Orientation | None = None
    """Custom only. To where the axes of all scans are turned. common (where left out): as most training scans have
    them; letters, such as LPS or RAS: where x, y and z point (left or right, posterior or anterior, superior or
    inferior); none: as each file has them."""
    spacing: Literal["none", "median"] | Millimetres | None = None
    """Custom, 3D only. mm between voxels that all scans are resampled to, along the turned axes. median (where
    left out): the training scans' median of each axis; three numbers; none: as each file has them. Predictions are
    brought back to the original grid before they are measured."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """Where to train and evaluate. auto: on a GPU where there is one, else on the CPU; cuda: an error where there
    is none."""
    shrink: Factors | None = None
    """3D only. Voxels along each axis that become one in the store, so that a crop shows more with less
    arithmetic; crop and stride are of these larger voxels. Predictions are brought back to the original grid
    before they are measured. Left out, volumes stay as they are."""
    training: TrainingConfig = TrainingConfig()
    """Overrides of the data set's published training settings."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Overrides of the data set's published evaluation settings."""

    @model_validator(mode="before")
    @classmethod
    def _classes_of_labels(cls, values: Any) -> Any:
        # Their order must outlive texts in which keys are sorted.
        if isinstance(values, dict) and isinstance(values.get("labels"), dict) and not values.get("classes"):
            return values | {"classes": list(values["labels"])}
        return values

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "custom":
            if self.source != "folder":
                raise ValueError("kind: custom reads source: folder only")
            if self.dimensions is None or not self.classes:
                raise ValueError("kind: custom needs dimensions (2 or 3) and classes (names of labels 1, 2, …)")
            self._check_labels()
        elif self.source == "folder":
            raise ValueError(f"source: folder needs kind: custom, not {self.kind}")
        elif fixed := sorted(self.model_fields_set & CUSTOM_ONLY):
            raise ValueError(f"{', '.join(fixed)}: fixed for kind: {self.kind}; leave out")
        axes = [pair for pair in ("LR", "PA", "SI") if set(pair) & set(self.orientation or "")]
        if self.orientation not in (None, "none", "common") and len(axes) < 3:
            raise ValueError(f"orientation {self.orientation} must name each axis once, as LPS and RAS do")
        if "crop_around" in self.model_fields_set and (self.kind, self.source) != ("la", "raw"):
            raise ValueError("crop_around is for kind: la with source: raw only; leave it out")
        return self

    def _check_labels(self) -> None:
        if self.labels and set(self.labels) != set(self.classes):
            told, named = ", ".join(self.labels), ", ".join(self.classes)
            raise ValueError(f"labels tells of {told}, classes of {named}; leave out classes")
        values = [value for held in self.labels.values() for value in ((held,) if isinstance(held, int) else held)]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"labels: {twice} stands in it twice; a value belongs to one class")

    def require_path(self) -> Path | None:
        """Return where the files are, None for phantoms; raises `UserError` where it is not said."""
        if self.source != "phantom" and self.path is None:
            raise UserError(f"source: {self.source} needs a path: where the files are, or shall be put")
        return self.path
