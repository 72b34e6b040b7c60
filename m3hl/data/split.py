"""Who is in which split, and in which order the training groups become labeled."""

from pathlib import Path
from typing import get_args

from m3hl.data.datasets.files import Split
from m3hl.data.table import read_table
from m3hl.errors import UserError

PACKAGED = Path(__file__).parent / "splits"
OWN = "splits.csv"


def own_split(folder: Path) -> tuple[Path, ...]:
    """Return the split file that lies in a data folder, or nothing where there is none."""
    own = folder / OWN
    return (own,) if own.is_file() else ()


def read_split(folder: Path, kind: str) -> dict[str, Split]:
    """Return the split of every group; train groups stand in the order in which they become labeled.

    A `splits.csv` (columns group, split) in the data folder goes before the one that the package holds.

    Raises:
        UserError: a group stands in the file twice, or a split is none of train, val and test.
    """
    path = next(iter(own_split(folder)), PACKAGED / f"{kind}.csv")
    splits: dict[str, Split] = {}
    for row in read_table(path, "split file", ("group", "split")):
        add_to_split(splits, row["group"], row["split"], path)
    return splits


def add_to_split(splits: dict[str, Split], group: str, split: str, path: Path) -> None:
    """Enter a group that may not be there yet; raises `UserError`, naming `path`, for a wrong or second entry."""
    if split not in get_args(Split):
        raise UserError(f"{path}: {group} is in the split {split!r}; there are train, val and test")
    if group in splits:
        both = f"both {splits[group]} and {split}" if splits[group] != split else f"{split} twice"
        raise UserError(f"{path}: {group} is in {both}; leave it in one place only")
    splits[group] = split  # type: ignore[assignment]
