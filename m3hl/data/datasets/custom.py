"""Your own images: NIfTI, NRRD, MHA or folders of DICOM, listed in a CSV.

Its columns are case, image, label, split, and group where one likes; cases with several images on one grid (T1,
T2) have the columns image_1, image_2, … in the place of image.
"""

import re
from pathlib import Path

from m3hl.data.channels import names
from m3hl.data.datasets.files import CaseFiles, Split
from m3hl.data.split import add_to_split
from m3hl.data.table import read_header, read_table
from m3hl.errors import UserError

SAFE_NAME = re.compile(r"\w[\w.+-]*")
NUMBERED = re.compile(r"image_\d+")


def folder_cases(table: Path) -> list[CaseFiles]:
    """Return the cases that a CSV lists, in its order.

    Columns: case, image (or image_1, image_2, …), label, split and, if you like, group (who is labeled or split
    as one; left out, the case itself). Paths are relative to the CSV. A training case with an empty label is
    unlabeled.

    Raises:
        UserError: a case stands there twice, a group is in two splits, a name cannot name a file, an image
            is not given, a validation or test case has no label, or there is no test case.
    """
    cases, problems = listed_cases(table)
    if problems:
        raise UserError(problems[0])
    return cases


def listed_cases(table: Path) -> tuple[list[CaseFiles], list[str]]:
    """Return the cases that a CSV lists as it should, and what is wrong with it, one sentence each."""
    cases: list[CaseFiles] = []
    problems: list[str] = []
    seen: dict[str, Split] = {}
    groups: dict[str, str] = {}
    for row in read_images(table, "list of cases", ("case", "image", "label", "split")):
        try:
            cases.append(listed_case(row, table, seen, groups))
        except UserError as error:
            problems.append(str(error))
    if "test" not in seen.values():
        problems.append(f"{table}: no case is in the split test, so nothing could be measured; move some there")
    return cases, problems


def listed_case(row: dict[str, str], table: Path, seen: dict[str, Split], groups: dict[str, str]) -> CaseFiles:
    """Return the case in a row, entered in the splits of the cases and the groups that were seen before."""
    name, split = row["case"], row["split"]
    group = row.get("group") or name
    for text in (name, group):
        if not SAFE_NAME.fullmatch(text):
            raise UserError(f"{table}: {text!r} cannot name a case; use letters, digits and . _ + - only")
    add_to_split(seen, name, split, table)
    if groups.setdefault(group, split) != split:
        raise UserError(f"{table}: group {group} is in both {groups[group]} and {split}; put it in one split")
    images = listed_images(row, table)
    if split != "train" and not row["label"]:
        raise UserError(f"{table}: {split} case {name} has no label; give one, or move the case to train")
    return CaseFiles(
        name=name,
        group=group,
        split=seen[name],
        images=images,
        label=table.parent / row["label"] if row["label"] else None,
        labeled=bool(row["label"]),
        notes=(table,),
    )


def read_images(table: Path, what: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV that lists images: in a column image, or in columns image_1, image_2, ….

    Args:
        table: the file.
        what: what it is, for error messages.
        columns: those that it must have, image among them.

    Raises:
        UserError: as `read_table`, or its columns of images are none of these.
    """
    header = read_header(table, what)
    numbered = [name for name in header if NUMBERED.fullmatch(name)]
    found = numbered or [name for name in header if name.lower().startswith("image")]
    if not found or ("image" in header and not numbered):
        return read_table(table, what, columns)
    if "image" in header:
        raise UserError(
            f"{table}: it has the columns image and {', '.join(numbered)}; where cases have several images, these "
            "are image_1, image_2, …, and there is no image"
        )
    wanted = names(len(found)) or ("image_1" if numbered else "image",)
    if set(found) != set(wanted):
        raise UserError(
            f"{table}: the columns of images are {', '.join(found)}, expected {', '.join(wanted)}; rename them"
        )
    return read_table(table, what, tuple(name for name in columns if name != "image"))


def listed_images(row: dict[str, str], table: Path) -> tuple[Path, ...]:
    """Return the files of a case's images in a row of `read_images`, in the order of their numbers."""
    keys = ["image"] if "image" in row else sorted(filter(NUMBERED.fullmatch, row), key=lambda key: int(key[6:]))
    images: dict[Path, str] = {}
    for key in keys:
        if not row[key]:
            raise UserError(f"{table}: case {row['case']} has no {key}; give its path, relative to the CSV")
        path = table.parent / row[key]
        if path in images:
            raise UserError(f"{table}: {images[path]} and {key} of case {row['case']} are one file; correct one")
        images[path] = key
    return tuple(images)
