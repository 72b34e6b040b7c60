"""Best, median and worst test case of each data set, with the outlines of every method."""

from typing import Any

from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.evaluation.summary import ranked_cases
from m3hl.reporting.comparison import ended_rows
from m3hl.reporting.figures.outlines import outline
from m3hl.reporting.figures.panels import Panel, View, panel_row
from m3hl.reporting.figures.pictures import png
from m3hl.reporting.figures.slices import fullest
from m3hl.reporting.figures.viewer import viewer
from m3hl.reporting.segmented import Contender, Segmentation, SegmentedCase, load_case
from m3hl.reporting.study import RunResult, Study
from m3hl.reporting.text import TEST_MARK, dagger, number

TITLE = "Examples"
MOST_VIEWERS = 3
"""Data sets of a page whose cases can be seen slice by slice; with more of them it would grow too large."""
NOTE, DAGGER_NOTE = "Dice in percent, of the whole case.", f" {TEST_MARK} The test split chose the weights."


def content(study: Study) -> dict[str, Any]:
    """Return the examples of every data set."""
    return {"datasets": [dataset_content(study, name) for name in study.datasets]}


def dataset_content(study: Study, name: str) -> dict[str, Any]:
    """Return one data set's examples, or why there are none."""
    facts, reference = study.datasets[name], choose_reference(study, name)
    if reference is None:
        return {"facts": facts, "missing": "no run has been evaluated yet"}
    contenders = choose_contenders(study, reference)
    ranks = ranked_cases(reference.metrics.assign(**reference.run._asdict()))
    if ranks.empty:
        return {"facts": facts, "missing": "no test case has a structure by which it could be ranked"}
    picks = choose_cases(list(ranks.index))
    try:
        with Store(facts.store) as store:
            cases = [(rank, load_case(store, case, contenders)) for rank, case in picks]
            images = store.images
    except UserError as error:
        return {"facts": facts, "missing": str(error)}
    viewed = cases if len(study.datasets) <= MOST_VIEWERS else []
    return {
        "facts": facts,
        "missing": "",
        "cases": [still_content(name, rank, case) for rank, case in cases],
        "slices": [viewer_content(rank, case) for rank, case in viewed],
        "images": images,
        "ranked_by": study.methods[reference.run.method].label,
        "run": reference.run,
        "contenders": contenders,
    }


def choose_reference(study: Study, dataset: str) -> RunResult | None:
    """Return the run by which cases are ranked: M³HL's with fewest labels, else another method's."""
    return next((row.ended[0] for row in ended_rows(study, dataset)), None)


def choose_contenders(study: Study, reference: RunResult) -> list[Contender]:
    """Return the runs of every method with the reference's labels and seed."""
    methods, run = list(study.methods), reference.run
    return [
        Contender(methods.index(row.method), study.methods[row.method].label, result)
        for row in study.rows(run.dataset)
        for result in row.runs
        if (row.labeled, result.run.seed) == (run.labeled, run.seed)
    ]


def choose_cases(ranked: list[str]) -> list[tuple[str, str]]:
    """Return best, median and worst of cases that are ranked best first; each case once."""
    picks = {"Best": ranked[0], "Median": ranked[len(ranked) // 2], "Worst": ranked[-1]}
    first = {case: rank for rank, case in reversed(picks.items())}
    return [(rank, case) for rank, case in picks.items() if first[case] == rank]


def still_content(dataset: str, rank: str, case: SegmentedCase) -> dict[str, Any]:
    """Return the slice with most of a case's structures: for the page, and as a drawing of its own."""
    best = fullest(case.truth)
    image = case.images[best]
    view = View(png(image), *image.shape, outline(case.truth[best]))
    panels = [panel(segmentation, best) for segmentation in case.segmentations]
    note = NOTE + DAGGER_NOTE * any(TEST_MARK in panel.score for panel in panels)
    heading = f"{dataset}, {rank.lower()} test case: {case.name}, slice {best + 1}"
    return {
        "rank": rank,
        "name": case.name,
        "slice": best + 1,
        "view": view,
        "panels": list(zip(panels, case.segmentations, strict=True)),
        "drawing": panel_row(f"examples-{dataset}-{rank.lower()}", heading, view, panels, note),
    }


def panel(segmentation: Segmentation, at: int) -> Panel:
    """Return one method's panel at a slice."""
    labels, contender = segmentation.labels, segmentation.contender
    path = None if labels is None else outline(labels[at])
    return Panel(contender.label, contender.index, score(segmentation), path, segmentation.missing)


def viewer_content(rank: str, case: SegmentedCase) -> dict[str, Any]:
    """Return a case slice by slice, with what stands beside each method's name."""
    notes = [f"not yet: {one.missing}" if one.missing else score(one) for one in case.segmentations]
    frames = viewer(case.images, case.truth, [one.labels for one in case.segmentations])
    return {"rank": rank, "name": case.name, "notes": ["", *notes], **frames}


def score(segmentation: Segmentation) -> str:
    """Return the Dice of the whole case in words, or nothing where it is unknown."""
    if segmentation.dice is None:
        return ""
    return f"Dice {number(segmentation.dice, 1)}{dagger(segmentation.contender.result.test_selected)}"
