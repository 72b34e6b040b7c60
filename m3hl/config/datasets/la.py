"""LA: volumes of late gadolinium-enhanced MRI of the left atrium (Xiong et al. 2021)."""

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets.description import Description, Roi, synthetic

CROP = (112, 112, 80)
VALIDATION_CAUTION = (
    "The literature's split has no validation scans, so the weights of the last iteration are evaluated."
)
CROP_CAUTIONS = {
    "label": "Scans are cropped around the ground truth, test scans included, as in the literature.",
    "center": "Scans are cropped around their middle, without a look at the label.",
}


def describe(config: DatasetConfig) -> Description:
    """Return LA's constants and the training settings that the literature uses on it."""
    centered = config.source == "raw" and config.crop_around == "center"
    description = Description(
        dimensions=3,
        classes=("left atrium",),
        normalization="zscore",
        crop=CROP,
        labeled_batch=4,
        unlabeled_batch=4,
        iterations=15_000,
        validate_every=200,
        selection="last",
        stride=(18, 18, 4),
        largest_component=True,
        group="scan",
        citation="Z. Xiong et al.: A Global Benchmark of Algorithms for Segmenting the Left Atrium from Late "
        "Gadolinium-Enhanced Cardiac Magnetic Resonance Imaging. Medical Image Analysis 67, 101832, 2021",
        license="the 2018 Atrial Segmentation Challenge's terms, for research",
        cautions=(
            CROP_CAUTIONS["center" if centered else "label"],
            "The challenge's 154 scans stem from 60 patients, so training and test scans may share patients.",
            *((VALIDATION_CAUTION,) if config.training.selection in (None, "last") else ()),
        ),
        raw_labels=(0, 255),
        roi=Roi(margin=(10, 20), least=CROP[:2], center=(320, 320)),
    )
    return synthetic(description) if config.source == "phantom" else description
