"""ACDC: cine MRI of the heart, 100 patients, end diastole and end systole (Bernard et al. 2018)."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from m3hl.data.datasets.files import CaseFiles, Download, Split
from m3hl.data.manifest import read_manifest
from m3hl.data.split import own_split, read_split
from m3hl.errors import UserError
from m3hl.files.reading import read_text

RAW = Download(
    page="https://humanheart-project.creatis.insa-lyon.fr/database/",
    url="https://humanheart-project.creatis.insa-lyon.fr/database/api/v1/collection/"
    "637218c173e9f0047faa00fb/download",
    terms="CC BY-NC-SA 4.0; citing Bernard et al. (IEEE TMI 2018) is mandatory",
    sha256="2787e08b0d3525cbac710fc3bdf69ee7c5fd7446472e49db8bc78548802f6b5e",
)
PUBLIC = Download(
    page="https://github.com/antares0811/3DCardiac/tree/7dcd89c9d5ca1e99e7a16a8a49221132ed62121d/data/ACDC",
    url="https://raw.githubusercontent.com/antares0811/3DCardiac/7dcd89c9d5ca1e99e7a16a8a49221132ed62121d/",
    terms="a copy of unclear standing, whose repository's licence does not cover the images; "
    "the images themselves are CC BY-NC-SA 4.0, and citing Bernard et al. (IEEE TMI 2018) is mandatory",
)
ARCHIVE_FOLDER = "database/training"
NEEDED = re.compile(r"patient\d+/(Info\.cfg|patient\d+_frame\d+(_gt)?\.nii\.gz)")
FIRST_SLICES = {1: 32, 3: 68, 7: 136, 14: 256, 21: 396, 28: 512, 35: 664, 70: 1312}
"""How many training slices the first k labeled patients have; the literature names the slices."""


def raw_cases(folder: Path) -> list[CaseFiles]:
    """Return both annotated frames of every patient, from the challenge's own files.

    Raises:
        UserError: a patient's Info.cfg is missing or does not name the two frames.
    """
    root = training_folder(folder)
    notes = own_split(folder)
    splits = read_split(folder, "acdc")
    return [case for group, split in splits.items() for case in patient_cases(root / group, split, notes)]


def training_folder(folder: Path) -> Path:
    """Return the folder that holds the patients: `folder` or one known level of the archive below it."""
    below = ("", "training", ARCHIVE_FOLDER, f"ACDC/{ARCHIVE_FOLDER}")
    return next((folder / name for name in below if any((folder / name).glob("patient*"))), folder)


def patient_cases(folder: Path, split: Split, notes: tuple[Path, ...]) -> Iterator[CaseFiles]:
    """Yield the two annotated frames of one patient's folder in ascending order."""
    info = folder / "Info.cfg"
    for number, frame in enumerate(annotated_frames(info), start=1):
        stem = f"{folder.name}_frame{frame:02}"
        yield CaseFiles(
            name=f"{folder.name}_frame{number:02}",
            group=folder.name,
            split=split,
            images=(folder / f"{stem}.nii.gz",),
            label=folder / f"{stem}_gt.nii.gz",
            notes=(info, *notes),
        )


def annotated_frames(info: Path) -> list[int]:
    """Return the numbers of the end-diastolic and the end-systolic frame in ascending order."""
    lines = (line.partition(":") for line in read_text(info, "patient's Info.cfg").splitlines())
    values = {key.strip(): value.strip() for key, _, value in lines}
    try:
        return sorted((int(values["ED"]), int(values["ES"])))
    except (KeyError, ValueError):
        raise UserError(f"{info}: no lines 'ED: <frame>' and 'ES: <frame>'; get the file again") from None


def raw_member(path: PurePosixPath) -> PurePosixPath | None:
    """Return where a member of the challenge's archive belongs, None for one that is not needed (4D, test)."""
    below = "/".join(path.parts[-2:])
    wanted = path.parts[-4:-2] == ("database", "training") and NEEDED.fullmatch(below)
    return PurePosixPath(ARCHIVE_FOLDER, below) if wanted else None


def public_cases(folder: Path) -> list[CaseFiles]:
    """Return the field's HDF5 files: training volumes as slices 1, 2, …, the others whole."""
    notes = own_split(folder)
    count: dict[str, int] = {}
    for name in read_manifest("acdc"):
        volume, _, _ = name.partition("_slice_")
        count[volume] = count.get(volume, 0) + ("_slice_" in name)
    cases = []
    for group, split in read_split(folder, "acdc").items():
        for name in (f"{group}_frame01", f"{group}_frame02"):
            slices = [f"{name}_slice_{number}" for number in range(1, count.get(name, 0) + 1)]
            files = tuple(public_file(folder, stem) for stem in slices or [name])
            cases.append(CaseFiles(name=name, group=group, split=split, images=files, notes=notes))
    return cases


def public_file(folder: Path, name: str) -> Path:
    """Return where a public slice or volume lies: slices in a folder of their own, or all in one folder."""
    slices = folder / "data" / "slices"
    return (slices if "_slice_" in name and slices.is_dir() else folder / "data") / f"{name}.h5"


def check_public(cases: list[CaseFiles]) -> str:
    """Return a sentence about the split; raises `UserError` when it is not the one that the literature uses."""
    slices: dict[str, int] = {}
    for case in cases:
        if case.split == "train":
            slices[case.group] = slices.get(case.group, 0) + len(case.images)
    counts = list(slices.values())
    first = {patients: sum(counts[:patients]) for patients in FIRST_SLICES}
    volumes = tuple(sum(case.split == split for case in cases) for split in ("val", "test"))
    if first != FIRST_SLICES or volumes != (20, 40):
        raise UserError(
            f"public ACDC: {first} slices of the first patients and {volumes} val and test volumes, expected "
            f"{FIRST_SLICES} and (20, 40); install the package again"
        )
    return f"{first[70]} training slices, {first[7]} of them of the first 7 labeled patients"
