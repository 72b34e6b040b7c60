"""Your own images: NIfTI, NRRD, MHA or folders of DICOM, listed in a CSV.

Its columns are case, image, label, split, and group where one likes.
"""

import re
from pathlib import Path

from m3hl.data.datasets.files import CaseFiles, Split
from m3hl.data.split import add_to_split
from m3hl.data.table import read_table
from m3hl.errors import UserError

SAFE_NAME = re.compile(r"\w[\w.+-]*")


def folder_cases(table: Path) -> list[CaseFiles]:
    """Return the cases that a CSV lists, in its order.

    Columns: case, image, label, split and, if you like, group (who is labeled or split as one; left out, the
    case itself). Paths are relative to the CSV. A training case with an empty label is unlabeled.

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
    for row in read_table(table, "list of cases", ("case", "image", "label", "split")):
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
    if not row["image"]:
        raise UserError(f"{table}: case {name} has no image; give its path, relative to the CSV")
    if split != "train" and not row["label"]:
        raise UserError(f"{table}: {split} case {name} has no label; give one, or move the case to train")
    return CaseFiles(
        name=name,
        group=group,
        split=seen[name],
        images=(table.parent / row["image"],),
        label=table.parent / row["label"] if row["label"] else None,
        labeled=bool(row["label"]),
        notes=(table,),
    )
