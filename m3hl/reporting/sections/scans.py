"""The scans of one's own as their files have them, and what was changed on the way into the store."""

from typing import Any

import pandas as pd

from m3hl.data.frame import listed
from m3hl.data.grids import orientation_of
from m3hl.data.store import CaseInfo, Store
from m3hl.errors import UserError
from m3hl.reporting.exports import Table
from m3hl.reporting.study import Study

TITLE = "Scans"
UNFOLDED = 20
"""A table of more scans is folded."""


def content(study: Study) -> dict[str, Any] | None:
    """Return a table for each data set of one's own, None where there is none."""
    datasets = [dataset_content(name, study) for name, facts in study.datasets.items() if facts.kind == "custom"]
    found = [one for one in datasets if one]
    return {"datasets": found} if found else None


def dataset_content(name: str, study: Study) -> dict[str, Any] | None:
    """Return the table of a data set's scans, None where its store cannot be read."""
    try:
        with Store(study.datasets[name].store) as store:
            rows = [scan_row(case) for split in ("train", "val", "test") for case in store.cases(split)]
            frame, remarks, images = store.frame, store.remarks, store.images
    except UserError:
        return None
    caption = f"Scans of {name} as their files have them, and what was changed on the way into the store."
    return {
        "name": name,
        "frame": frame.described(),
        "remarks": remarks,
        "images": images,
        "rows": rows,
        "folded": len(rows) > UNFOLDED,
        "table": Table(f"scans-{name}", caption, pd.DataFrame(rows)),
    }


def scan_row(case: CaseInfo) -> dict[str, str]:
    """Return what a reader sees of one scan; sizes and spacings along the file's axes x, y and z."""
    geometry = case.geometry
    known = geometry is not None
    return {
        "case": case.name,
        "split": case.split if case.labeled else f"{case.split}, no label",
        "size": listed(tuple(geometry.size[axis] for axis in geometry.axes)) if known else "",
        "spacing_mm": listed(tuple(float(geometry.spacing[axis]) for axis in geometry.axes)) if known else "",
        "orientation": orientation_of(geometry.direction) if known else "",
        "changed": "; ".join(case.notes),
    }
