"""What a reader must know of a data set and a method, taken from the configuration."""

from dataclasses import dataclass
from pathlib import Path

from m3hl.config import methods
from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.config.experiment import MethodConfig
from m3hl.config.run import published_or
from m3hl.reporting.text import NONE, count, times


@dataclass(frozen=True)
class DatasetFacts:
    """A data set of the study.

    Attributes:
        name: as in the configuration.
        kind: module in `m3hl.data.datasets`.
        synthetic: whether phantoms take the place of the data set's images.
        group: what a labeled count counts, "patient" or "scan".
        classes: names of labels 1, 2, ….
        cautions: what a reader of the numbers must know.
        differences: how its runs differ from the published ones, one phrase each.
        size: iterations, of how many, and what the network sees; "" where both are as published.
        citation, license: of the images.
        store: the HDF5 file.
    """

    name: str
    kind: str
    synthetic: bool
    group: str
    classes: tuple[str, ...]
    cautions: tuple[str, ...]
    differences: tuple[str, ...]
    size: str
    citation: str
    license: str
    store: Path


@dataclass(frozen=True)
class MethodFacts:
    """A method of the study.

    Attributes:
        name: as in the configuration.
        algorithm: module in `m3hl.methods`.
        label: what tables call it.
        note: preset and single knobs, e.g. "preset released; mask_ratio 0.3".
        turned, turned_on: whether single knobs are turned, and the data sets on which some are besides.
        own_network: whether it trains another network than ours, and so stands for no row.
    """

    name: str
    algorithm: str
    label: str
    note: str
    turned: bool = False
    turned_on: frozenset[str] = frozenset()
    own_network: bool = False

    def as_published(self, dataset: str) -> bool:
        """Return whether neither network nor a single knob is another on a data set."""
        return not (self.turned or dataset in self.turned_on or self.own_network)


def dataset_facts(name: str, config: DatasetConfig, results: Path) -> DatasetFacts:
    """Return what the configuration says about a data set."""
    description = describe(config)
    return DatasetFacts(
        name=name,
        kind=config.kind,
        synthetic=config.source == "phantom",
        group=description.group,
        classes=description.classes,
        cautions=description.cautions,
        differences=differences(config),
        size=size(config),
        citation=description.citation,
        license=description.license,
        store=results / "data" / f"{name}.h5",
    )


def method_facts(name: str, config: MethodConfig) -> MethodFacts:
    """Return what the configuration says about a method."""
    parts = [f"preset {config.preset}"] if config.preset else []
    parts += [f"network {config.network}"] if config.network else []
    parts += [f"{key} {plain(value)}" for key, value in config.options.items()]
    parts += [
        f"{key} {plain(value)} on {data}"
        for data, keys in config.by_dataset.items()
        for key, value in keys.items()
    ]
    own_network = config.network is not None
    label = methods.load(config.method).TITLE if name == config.method and not own_network else name
    turned_on = frozenset(data for data, keys in config.by_dataset.items() if keys)
    note = "; ".join(parts) or "default settings"
    return MethodFacts(name, config.method, label, note, bool(config.options), turned_on, own_network)


def size(config: DatasetConfig) -> str:
    """Return how long runs train and on what, or "" where both are as published.

    >>> size(DatasetConfig(kind="acdc", source="public", training={"crop": (128, 128), "iterations": 4000}))
    '4\u202f000 of 30\u202f000 iterations at 128×128 voxels'
    """
    description = describe(config)
    ours = published_or(config, description)
    if (ours["iterations"], ours["crop"]) == (description.iterations, description.crop):
        return ""
    iterations = f"{plain(ours['iterations'])} of {plain(description.iterations)} iterations"
    return f"{iterations} at {plain(ours['crop'])} voxels"


def differences(config: DatasetConfig) -> tuple[str, ...]:
    """Return how a data set's settings differ from the published ones, one phrase each."""
    description = describe(config)
    published = published_or(config.model_copy(update={"training": type(config.training)()}), description)
    phrases = {
        "channels": "{} channels in the first level instead of {}",
        "crop": "crop {} instead of {} voxels",
        "labeled_batch": "{} labeled samples per batch instead of {}",
        "unlabeled_batch": "{} unlabeled samples per batch instead of {}",
        "iterations": "{} iterations instead of {}",
    }
    found = [
        phrase.format(plain(value), plain(published[key]))
        for key, phrase in phrases.items()
        if (value := getattr(config.training, key)) is not None and value != published[key]
    ]
    if config.evaluation.cases:
        found.append(f"only the first {count(config.evaluation.cases, 'case')} of the test split")
    if config.evaluation.stride and config.evaluation.stride != description.stride:
        found.append(
            f"sliding-window stride {plain(config.evaluation.stride)} instead of {plain(description.stride)}"
        )
    if config.shrink and max(config.shrink) > 1:
        found.append(f"volumes at a lower resolution: {plain(config.shrink)} voxels became one")
    if config.hold_out:
        found.append(f"{count(config.hold_out, description.group)} held out of training for validation")
    if config.source == "raw" and config.kind == "la":
        found.append("scans cropped anew from the raw files, not the crops that the literature shares")
    return tuple(found)


def plain(value: object) -> str:
    """Return a setting as a reader writes it."""
    if value is None:
        return NONE
    if isinstance(value, tuple | list):
        return ", ".join(value) if isinstance(value[0], str) else times(value)
    return (
        f"{value:,}".replace(",", "\u202f")
        if isinstance(value, int) and not isinstance(value, bool)
        else str(value)
    )
