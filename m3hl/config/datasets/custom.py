"""Your own images: what they are is said in the configuration."""

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets.description import Description


def describe(config: DatasetConfig) -> Description:
    """Return ACDC's settings for 2D data and LA's for 3D data; `config.training` overrides them."""
    flat = config.dimensions == 2
    return Description(
        dimensions=2 if flat else 3,
        classes=config.classes or (),
        normalization=config.normalization,
        crop=(256, 256) if flat else (112, 112, 80),
        labeled_batch=12 if flat else 4,
        unlabeled_batch=12 if flat else 4,
        iterations=30_000 if flat else 15_000,
        validate_every=200,
        selection="val",
        stride=None if flat else (18, 18, 4),
        group="patient",
        citation="your own data",
        license="your own data",
        orientation=config.orientation or "common",
        spacing=config.spacing or ("none" if flat or config.shrink else "median"),
        mapped=mapped(config),
        empty_labels=True,
    )


def mapped(config: DatasetConfig) -> tuple[tuple[int, ...], ...]:
    """Return what the files hold for labels 1, 2, …, nothing where they hold just these."""
    held = [config.labels[name] for name in config.classes or () if name in config.labels]
    return tuple((one,) if isinstance(one, int) else one for one in held)
