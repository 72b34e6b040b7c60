"""ACDC: slices of cine MRI of the heart, four classes (Bernard et al. 2018)."""

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets.description import Description, synthetic


def describe(config: DatasetConfig) -> Description:
    """Return ACDC's constants and the training settings that the literature uses on it."""
    description = Description(
        dimensions=2,
        classes=("right ventricle", "myocardium", "left ventricle"),
        normalization="minmax",
        crop=(256, 256),
        labeled_batch=12,
        unlabeled_batch=12,
        iterations=30_000,
        validate_every=200,
        selection="val",
        stride=None,
        group="patient",
        citation="O. Bernard et al.: Deep Learning Techniques for Automatic MRI Cardiac Multi-structures "
        "Segmentation and Diagnosis: Is the Problem Solved? IEEE Transactions on Medical Imaging 37(11), "
        "2514-2525, 2018",
        license="CC BY-NC-SA 4.0",
        cautions=(
            "All three splits come from the challenge's training patients; its own test set is not used.",
            "frame01 and frame02 are the two annotated frames in ascending order; "
            "frame01 is not always end diastole.",
        ),
    )
    return synthetic(description) if config.source == "phantom" else description
