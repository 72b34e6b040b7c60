"""config/ablation.yaml is what it says: Table 2's losses, Fig. 4's grid, and ladders of one step at a time."""

from itertools import pairwise, product
from pathlib import Path

import pytest

from m3hl.config.experiment import load_config
from m3hl.config.methods import m3hl

PATH = Path(__file__).parents[2] / "config" / "ablation.yaml"
TABLE_2 = [{"sup": s, "mix": m, "hl": h} for s, m, h in product((True, False), repeat=3) if m or h]
KEYS = {"sup": "supervised_loss", "mix": "mix_loss", "hl": "consistency_loss"}
FIGURE_4 = list(product((16, 32, 64, 128), (0.25, 0.5, 0.75)))
STEPS = {
    "learning-rate": {"learning_rate"},
    "decay": {"learning_rate_decay_every"},
    "mask-sides": {"mask_keeps"},
    "weights": {"labeled_weight", "unlabeled_weight"},
    "mean": {"reduction"},
    "low-features": {"low_features"},
    "high-features": {"high_features"},
}
LADDERS = {
    "acdc": ("step", ["learning-rate", "mask-sides", "weights", "mean"], "patch-64-ratio-0.5", "low-features"),
    "la": (
        "la-step",
        ["learning-rate", "decay", "mask-sides", "weights", "mean", "low-features"],
        "mix-hl",
        "high-features",
    ),
}
DIMENSIONS = {"acdc": 2, "la": 3}


def preset(name, dataset, **options):
    return m3hl.Options(**m3hl.preset(name, DIMENSIONS[dataset]) | options).model_dump()


def row_name(losses):
    return "-".join(name for name, on in losses.items() if on)


def ladder(dataset):
    """Return the names of a ladder's methods and what changes from each to the next."""
    prefix, steps, last, last_change = LADDERS[dataset]
    return ["step-0", *(f"{prefix}-{n}-{what}" for n, what in enumerate(steps, 1)), last], [*steps, last_change]


@pytest.fixture(scope="module")
def study():
    return load_config(PATH)


@pytest.fixture(scope="module")
def options(study):
    """Return a function that gives the options of a method on ACDC or LA, where it is planned."""
    runs = {(run.dataset, run.method): run for run in study.runs()}
    return lambda dataset, method: study.settings(runs[dataset, method]).options.model_dump()


def test_nothing_else_is_run_and_nothing_twice(study):
    acdc = {f"patch-{patch}-ratio-{ratio}" for patch, ratio in FIGURE_4} | {"no-mix", *ladder("acdc")[0]}
    la = {row_name(losses) for losses in TABLE_2} | {"sup", "no-mix", *ladder("la")[0]}
    runs = [(run.dataset, run.method, run.labeled, run.seed) for run in study.runs()]
    expected = {("acdc", name, 7, 1337) for name in acdc} | {("la", name, 8, 1337) for name in la}
    assert set(runs) == expected
    settings = [study.settings(run).digest + run.dataset for run in study.runs()]
    assert len(set(settings)) == len(settings) == len(expected)


@pytest.mark.parametrize("losses", TABLE_2, ids=row_name)
def test_names_of_table_2_say_which_losses_are_on(options, losses):
    on = {KEYS[name]: value for name, value in losses.items()}
    assert options("la", row_name(losses)) == preset("released", "la", **on)


@pytest.mark.parametrize(("patch", "ratio"), FIGURE_4)
def test_figure_4_is_a_grid(options, patch, ratio):
    expected = preset("released", "acdc", mask_patch_size=patch, mask_ratio=ratio)
    assert options("acdc", f"patch-{patch}-ratio-{ratio}") == expected


@pytest.mark.parametrize("dataset", LADDERS)
def test_a_ladder_leads_from_paper_to_released(options, dataset):
    names, changes = ladder(dataset)
    steps = [options(dataset, name) for name in names]
    # A cell of 64 pixels is what a mask has on ACDC that is told no size.
    steps = [step | {"mask_patch_size": None} for step in steps]
    assert [{key for key in a if a[key] != b[key]} for a, b in pairwise(steps)] == [STEPS[c] for c in changes]
    assert steps[0] == preset("paper", dataset)
    assert steps[-1] == preset("released", dataset)


@pytest.mark.parametrize("dataset", LADDERS)
def test_the_control_does_not_mix_and_is_released_else(options, dataset):
    assert options(dataset, "no-mix") == preset("released", dataset, mix=False)
