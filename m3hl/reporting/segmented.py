"""A case with what each method's run has made of it, as slices cut out around the structures."""

from dataclasses import dataclass

import h5py
import numpy as np

from m3hl.data.channels import apart
from m3hl.data.shrink import repeated
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.evaluation.summary import ranked_cases
from m3hl.reporting.figures.pictures import grey
from m3hl.reporting.figures.slices import Cut, choose_cut, stack
from m3hl.reporting.study import RunResult


@dataclass(frozen=True)
class Contender:
    """A method whose outlines are shown: its place in the study, and the run that is shown."""

    index: int
    label: str
    result: RunResult


@dataclass(frozen=True)
class Segmentation:
    """A run's prediction of a case.

    Attributes:
        contender: whose it is.
        labels: label maps, (N, H, W); None where there are none.
        dice: of the whole case, in percent; None where it is unknown.
        missing: why there are no label maps.
    """

    contender: Contender
    labels: np.ndarray | None
    dice: float | None
    missing: str


@dataclass(frozen=True)
class SegmentedCase:
    """A case of the test split.

    Attributes:
        name: as in the store.
        images: 8 bit, (N, H, W); the first where the case has several.
        truth: label maps, (N, H, W).
        segmentations: one per contender.
    """

    name: str
    images: np.ndarray
    truth: np.ndarray
    segmentations: tuple[Segmentation, ...]


def load_case(store: Store, name: str, contenders: list[Contender]) -> SegmentedCase:
    """Read a case and its predictions; raises `UserError` where the store lacks it or its label map."""
    label = store.label(name)
    if label is None:
        raise UserError(f"{store.path}: {name} has no label map, so there is nothing to compare with")
    image = repeated(apart(store.image(name))[0], store.shrink, label.shape)
    truth, images = stack(label, store.dimensions), stack(image, store.dimensions)
    cut = choose_cut(truth)
    segmentations = (
        load_segmentation(contender, name, store.dimensions, truth.shape, cut) for contender in contenders
    )
    return SegmentedCase(name, grey(images[cut]), truth[cut], tuple(segmentations))


def load_segmentation(
    contender: Contender, case: str, dimensions: int, shape: tuple[int, ...], cut: Cut
) -> Segmentation:
    """Read one run's prediction of a case, whose stack of slices must have a shape."""
    result, dice = contender.result, None
    if result.metrics is not None:
        dice = ranked_cases(result.metrics.assign(**result.run._asdict())).get(case)
    try:
        labels = stack(read_prediction(result, case), dimensions)
        if labels.shape != shape:
            raise UserError(f"predictions.h5: {case} has {labels.shape} slices and pixels, its label {shape}")
    except UserError as error:
        return Segmentation(contender, None, dice, str(error))
    return Segmentation(contender, labels[cut], dice, "")


def read_prediction(result: RunResult, case: str) -> np.ndarray:
    """Return a predicted label map; raises `UserError` where it is missing or is no volume."""
    if not result.predictions.is_file():
        raise UserError(result.gaps[0] if result.metrics is None else "there is no predictions.h5")
    try:
        with h5py.File(result.predictions, "r") as file:
            prediction = np.asarray(file[case][()])
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"predictions.h5: no readable label map of {case}") from error
    if prediction.ndim != 3:
        raise UserError(f"predictions.h5: {case} has {prediction.ndim} axes instead of 3")
    return prediction
