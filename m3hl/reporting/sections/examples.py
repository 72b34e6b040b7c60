"""Best, median and worst test case of each data set, as slices with outlines."""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.evaluation.summary import ranked_cases
from m3hl.reporting.figures.slices import choose_cut, outline, png
from m3hl.reporting.study import NOT_EVALUATED, NOT_TRAINED, Row, RunResult, Study

TITLE = "Examples"


@dataclass(frozen=True)
class Contender:
    """A method whose outlines are shown: its place in the study, and the run that is shown."""

    index: int
    label: str
    result: RunResult


def content(study: Study) -> dict[str, Any]:
    """Return the examples of every data set."""
    return {"datasets": [dataset_content(study, name) for name in study.datasets]}


def dataset_content(study: Study, name: str) -> dict[str, Any]:
    """Return one data set's examples, or why there are none."""
    facts, reference = study.datasets[name], choose_reference(study, name)
    if reference is None:
        return {"facts": facts, "missing": "no run has been evaluated yet", "cases": []}
    rows = [row for row in study.rows(name) if row.labeled == reference.run.labeled]
    contenders = [
        Contender(list(study.methods).index(row.method), study.methods[row.method].label, result)
        for row in rows
        for result in row.runs
        if result.run.seed == reference.run.seed
    ]
    ranks = ranked_cases(reference.metrics.assign(**reference.run._asdict()))
    try:
        with Store(facts.store) as store:
            cases = [case_content(store, rank, case, contenders) for rank, case in choose_cases(list(ranks.index))]
    except UserError as error:
        return {"facts": facts, "missing": str(error), "cases": []}
    label = study.methods[reference.run.method].label
    return {
        "facts": facts,
        "missing": "",
        "cases": cases,
        "ranked_by": label,
        "run": reference.run,
        "contenders": contenders,
    }


def choose_reference(study: Study, dataset: str) -> RunResult | None:
    """Return the run by which cases are ranked: M³HL's with fewest labels, else the first that has ended."""
    rows = [row for row in study.rows(dataset) if row.ended]
    preferred: list[Row] = [row for row in rows if study.methods[row.method].algorithm == "m3hl"]
    return next((row.ended[0] for row in preferred or rows), None)


def choose_cases(ranked: list[str]) -> list[tuple[str, str]]:
    """Return best, median and worst of cases that are ranked best first; each case once."""
    picks = {"Best": ranked[0], "Median": ranked[len(ranked) // 2], "Worst": ranked[-1]}
    first = {case: rank for rank, case in reversed(picks.items())}
    return [(rank, case) for rank, case in picks.items() if first[case] == rank]


def case_content(store: Store, rank: str, case: str, contenders: list[Contender]) -> dict[str, Any]:
    """Return one case's image and, per contender, outline and Dice, or why there is none."""
    image, truth = store.image(case), store.label(case)
    if truth is None:
        raise UserError(f"{store.path}: {case} has no label map, so there is nothing to compare with")
    cut = choose_cut(truth, store.dimensions)
    seen = cut(image)
    return {
        "rank": rank,
        "name": case,
        "slice": cut.index + 1,
        "image": png(seen),
        "height": seen.shape[0],
        "width": seen.shape[1],
        "truth": outline(cut(truth)),
        "panels": [
            {"contender": contender, **prediction_content(contender.result, case, truth.shape, cut)}
            for contender in contenders
        ],
    }


def prediction_content(result: RunResult, case: str, shape: tuple[int, ...], cut: Any) -> dict[str, Any]:
    """Return outline and Dice (percent) of one run's prediction for a case, or why there is none."""
    dice = None
    if result.metrics is not None:
        ranks = ranked_cases(result.metrics.assign(**result.run._asdict()))
        dice = ranks.get(case)
    try:
        prediction = read_prediction(result, case, shape)
    except UserError as error:
        return {"outline": None, "dice": dice, "missing": str(error)}
    return {"outline": outline(cut(prediction)), "dice": dice, "missing": ""}


def read_prediction(result: RunResult, case: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a predicted label map; raises `UserError` where it is missing or of another shape."""
    if not result.predictions.is_file():
        raise UserError(NOT_EVALUATED if result.record else NOT_TRAINED)
    try:
        with h5py.File(result.predictions, "r") as file:
            prediction = file[case][()]
    except (OSError, KeyError) as error:
        raise UserError(f"predictions.h5: no readable label map of {case}") from error
    if prediction.shape != shape:
        raise UserError(f"predictions.h5: {case} has shape {prediction.shape}, its label {shape}")
    return prediction
