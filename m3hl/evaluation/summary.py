"""From one row per case and class to means over cases, and mean and deviation over seeds."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from m3hl.errors import UserError
from m3hl.evaluation.metrics import COLUMNS

OVERLAPS = ("dice", "jaccard")
DISTANCES = ("hd95", "asd")
DISTANCES_MM = ("hd95_mm", "asd_mm")
METRICS = OVERLAPS + DISTANCES + DISTANCES_MM
FLAGS = ("missed", "spurious", "absent")
GROUP = ["dataset", "method", "labeled"]
RUN = [*GROUP, "seed"]

Convention = Literal["published", "failures"]
CONVENTIONS: tuple[Convention, ...] = ("published", "failures")
"""How a structure counts that only prediction or only truth has: "published" gives it 0 on every metric, as the
field's code does, which flatters distances; "failures" leaves it out of the distances. Both give overlap 0."""


def read_metrics(path: Path) -> pd.DataFrame:
    """Return the rows of a metrics.csv; raises `UserError` where it is missing, damaged, or lacks columns."""
    try:
        rows = pd.read_csv(
            path, dtype={"case": str, "group": str, "class": str}, keep_default_na=False, na_values=[""]
        )
        missing = [name for name in COLUMNS if name not in rows]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        if rows.empty:
            raise ValueError("it has no rows")
        return rows.astype(dict.fromkeys(METRICS, float) | dict.fromkeys(FLAGS, bool))[list(COLUMNS)]
    except (OSError, ValueError) as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise UserError(f"{path}: cannot read these metrics ({problem}); evaluate the run again") from error


def apply_convention(rows: pd.DataFrame, convention: Convention) -> pd.DataFrame:
    """Return the rows without `absent` structures, with the distances of failed ones as the convention says.

    Distances in mm stay NaN in a run without any: its spacing is unknown.
    """
    rows = rows[~rows["absent"]].copy()
    if convention == "published":
        failed = rows["missed"] | rows["spurious"]
        measured = rows.groupby(RUN)["hd95_mm"].transform("count") > 0
        rows.loc[failed, list(DISTANCES)] = 0.0
        rows.loc[failed & measured, list(DISTANCES_MM)] = 0.0
    return rows


def case_means(rows: pd.DataFrame, convention: Convention, by: list[str]) -> pd.DataFrame:
    """Return the mean over classes for each case of each group in `by`.

    Args:
        rows: metrics of one or many runs, with the columns of `RUN`.
        convention: see `CONVENTIONS`.
        by: columns that are kept apart besides the case: `RUN`, and "class" for means per class.

    Returns:
        One row per group and case, in the order of first appearance: `METRICS`, and the number of structures
        counted, missed and spurious.
    """
    grouped = apply_convention(rows, convention).groupby([*by, "case"], sort=False)
    means = grouped[list(METRICS)].mean()
    counts = grouped[["missed", "spurious"]].sum().astype(int)
    return means.join(counts).join(grouped.size().rename("structures")).reset_index()


def run_means(rows: pd.DataFrame, convention: Convention, by: list[str] = RUN) -> pd.DataFrame:
    """Return the mean over cases (of their means over classes) for each group in `by`."""
    grouped = case_means(rows, convention, by).groupby(by, sort=False)
    counts = grouped[["missed", "spurious", "structures"]].sum()
    return grouped[list(METRICS)].mean().join(counts).join(grouped.size().rename("cases")).reset_index()


def means_of_run(rows: pd.DataFrame) -> dict[str, float]:
    """Return the means of one run in the literature's convention, by metric; unknown ones are left out.

    Args:
        rows: metrics of one run, without the columns of `RUN`.
    """
    means = run_means(rows.assign(**dict.fromkeys(RUN, 0)), "published")[list(METRICS)]
    # Of cases that have no structure at all, predicted or true, there are none.
    return {str(name): float(value) for _, row in means.iterrows() for name, value in row.dropna().items()}


def seed_table(rows: pd.DataFrame, convention: Convention, by: list[str] = GROUP) -> pd.DataFrame:
    """Return mean and standard deviation over seeds of the runs' means, for each group in `by`.

    Args:
        rows: metrics of many runs, with the columns of `RUN`.
        convention: see `CONVENTIONS`.
        by: `GROUP`, or `[*GROUP, "class"]` for a table per class.

    Returns:
        One row per group: `<metric>_mean` and `<metric>_std` (ddof 1; NaN for one seed), `runs`, and the number
        of structures missed, spurious and counted over all its runs.
    """
    grouped = run_means(rows, convention, [*by, "seed"]).groupby(by, sort=False)
    columns = {}
    for metric in METRICS:
        columns[f"{metric}_mean"] = grouped[metric].mean()
        columns[f"{metric}_std"] = grouped[metric].std(ddof=1)
    columns["runs"] = grouped.size()
    for name in ("missed", "spurious", "structures"):
        columns[name] = grouped[name].sum()
    return pd.DataFrame(columns).reset_index()


def ranked_cases(rows: pd.DataFrame) -> pd.Series:
    """Return the mean Dice of each case of one run, best first; ties in the order of the cases."""
    means = case_means(rows, "published", RUN).set_index("case")["dice"]
    return means.iloc[np.argsort(-means.to_numpy(), kind="stable")]
