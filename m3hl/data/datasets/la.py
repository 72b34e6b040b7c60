"""LA: late gadolinium-enhanced MRI of the left atrium, 100 scans (Xiong et al. 2021)."""

from pathlib import Path

from m3hl.config.dataset import DatasetConfig
from m3hl.data.datasets.description import CaseFiles, Description, Download, Roi, synthetic
from m3hl.data.split import own_split, read_split
from m3hl.errors import UserError

PAGE = "https://www.cardiacatlas.org/atriaseg2018-challenge/atria-seg-data/"
RAW = Download(page=PAGE, url=None, terms="the challenge's terms, for research")
PUBLIC = Download(
    page="https://github.com/yulequan/UA-MT/tree/88ed29ad794f877122e542a7fa9505a76fa83515/data",
    url="https://raw.githubusercontent.com/yulequan/UA-MT/88ed29ad794f877122e542a7fa9505a76fa83515/",
    terms="a copy made by others, whose repository's licence does not cover the images; the images stand "
    f"under the challenge's terms, for research ({PAGE})",
)
PUBLIC_FOLDER = "2018LA_Seg_Training Set"
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


def raw_cases(folder: Path) -> list[CaseFiles]:
    """Return every scan from the challenge's own files, `<scan>/lgemri.nrrd` and `<scan>/laendo.nrrd`."""
    notes = own_split(folder)
    return [
        CaseFiles(
            name=scan,
            group=scan,
            split=split,
            images=(folder / scan / "lgemri.nrrd",),
            label=folder / scan / "laendo.nrrd",
            notes=notes,
        )
        for scan, split in read_split(folder, "la").items()
    ]


def public_cases(folder: Path) -> list[CaseFiles]:
    """Return the field's HDF5 files, `2018LA_Seg_Training Set/<scan>/mri_norm2.h5`."""
    notes = own_split(folder)
    return [
        CaseFiles(name=scan, group=scan, split=split, images=(public_file(folder, scan),), notes=notes)
        for scan, split in read_split(folder, "la").items()
    ]


def public_file(folder: Path, name: str) -> Path:
    """Return where a public scan lies."""
    return folder / PUBLIC_FOLDER / name / "mri_norm2.h5"


def check_public(cases: list[CaseFiles]) -> str:
    """Return a sentence about the split; raises `UserError` when it is not the one that the literature uses."""
    counts = tuple(sum(case.split == split for case in cases) for split in ("train", "val", "test"))
    if counts != (80, 0, 20):
        raise UserError(f"public LA: {counts} train, val and test scans, expected (80, 0, 20); install it again")
    return f"{counts[0]} training scans, {counts[2]} test scans"
