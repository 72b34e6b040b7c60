"""LA: late gadolinium-enhanced MRI of the left atrium, 100 scans (Xiong et al. 2021)."""

from pathlib import Path

from m3hl.data.datasets.files import CaseFiles, Download
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
