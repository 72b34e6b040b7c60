"""Segmenting and measuring every case of a split."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from m3hl.data.hdf5 import new_hdf5
from m3hl.data.store import CaseInfo, Store
from m3hl.errors import UserError
from m3hl.evaluation.metrics import COLUMNS, measure
from m3hl.inference.protocol import Protocol
from m3hl.progress import Progress


@dataclass(frozen=True)
class Segmented:
    """One case with its predicted label map.

    Attributes:
        case: from the store.
        prediction: uint8, of the image's shape.
        rows: metrics, one row per class.
    """

    case: CaseInfo
    prediction: np.ndarray
    rows: list[dict[str, Any]]


def choose_cases(store: Store, split: str, limit: int | None) -> list[CaseInfo]:
    """Return the first `limit` cases of a split (None: all); raises `UserError` where it is empty."""
    cases = store.cases(split)
    if not cases:
        raise UserError(f"{store.path}: the {split} split is empty, so there is nothing to measure")
    return cases[:limit]


def require_geometry(cases: list[CaseInfo]) -> None:
    """Raise `UserError` for the first case whose source does not tell where its voxels lie."""
    for case in cases:
        if case.geometry is None:
            raise UserError(
                f"{case.name}: the data set does not tell where its voxels lie (public HDF5 files never do); "
                "leave out --nifti, or use source: raw"
            )


def evaluate(
    network: nn.Module, store: Store, cases: list[CaseInfo], protocol: Protocol, device: torch.device, label: str
) -> list[Segmented]:
    """Segment `cases` and compare them with their label maps; `label` names the run in progress lines.

    One case is measured while the network is at the next.
    """
    progress, measured = Progress(label, len(cases)), []
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for done, case in enumerate(cases, start=1):
            image, truth = torch.from_numpy(store.image(case.name)).to(device), store.label(case.name)
            (labels,) = protocol.segment(network, [image], [truth.shape])
            measured.append(threads.submit(measured_case, case, labels.cpu().numpy(), truth, store.classes))
            rows = [row for future in measured if future.done() for row in future.result().rows]
            known = [row["dice"] for row in rows if not np.isnan(row["dice"])]
            progress.update(done, f"Dice {np.mean(known):.1f}" if known else "")
        return [future.result() for future in measured]


def measured_case(
    case: CaseInfo, prediction: np.ndarray, truth: np.ndarray, classes: tuple[str, ...]
) -> Segmented:
    """Compare one case's prediction with its label map."""
    rows = measure(prediction, truth, classes, case.geometry.spacing if case.geometry else None)
    return Segmented(case, prediction, [{"case": case.name, "group": case.group, **row} for row in rows])


def table(results: list[Segmented]) -> pd.DataFrame:
    """Return the metrics of all cases, one row per case and class, with the columns of metrics.csv."""
    return pd.DataFrame([row for result in results for row in result.rows])[list(COLUMNS)]


def save_predictions(path: Path, results: list[Segmented]) -> None:
    """Write the label maps to one HDF5 file, a dataset per case."""
    with new_hdf5(path, track_order=True) as file:
        for result in results:
            file.create_dataset(
                result.case.name, data=result.prediction, compression="gzip", compression_opts=1, track_times=False
            )


def save_nifti(folder: Path, results: list[Segmented]) -> None:
    """Write the label maps as `<case>.nii.gz` on the grids of the original images (see `require_geometry`)."""
    # Here, as SimpleITK is not needed to measure.
    from m3hl.data.images import write_map

    for result in results:
        write_map(folder / f"{result.case.name}.nii.gz", result.prediction, result.case.geometry)
