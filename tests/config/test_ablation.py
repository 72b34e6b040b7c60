"""config/ablation.yaml is what it says: Table 2's losses, Fig. 4's grid, and a ladder of one step at a time."""

from itertools import pairwise, product
from pathlib import Path

import pytest

from m3hl.config.experiment import load_config
from m3hl.config.methods import m3hl

PATH = Path(__file__).parents[2] / "config" / "ablation.yaml"


@pytest.fixture(scope="module")
def options():
    """Return a function that gives the options of a method on ACDC or LA, where it is planned."""
    study = load_config(PATH)
    runs = {(run.dataset, run.method): run for run in study.runs()}
    return lambda dataset, method: study.settings(runs[dataset, method]).options.model_dump()


@pytest.mark.parametrize("name", ["sup-mix", "sup-hl", "sup-mix-hl", "mix", "hl", "mix-hl"])
def test_names_of_table_2_say_which_losses_are_on(options, name):
    found = options("la", name)
    on = [
        short
        for short, key in (("sup", "supervised_loss"), ("mix", "mix_loss"), ("hl", "consistency_loss"))
        if found[key]
    ]
    assert "-".join(on) == name


def test_figure_4_is_a_grid(options):
    for patch, ratio in product((16, 32, 64, 128), (0.25, 0.5, 0.75)):
        found = options("acdc", f"patch-{patch}-ratio-{ratio}")
        assert (found["mask_patch_size"], found["mask_ratio"]) == (patch, ratio)


KEYS = {
    "learning-rate": {"learning_rate"},
    "decay": {"learning_rate_decay_every"},
    "mask-sides": {"mask_keeps"},
    "weights": {"labeled_weight", "unlabeled_weight"},
    "mean": {"reduction"},
    "low-features": {"low_features"},
    "high-features": {"high_features"},
}
LADDERS = {
    "acdc": ["learning-rate", "mask-sides", "weights", "mean", "low-features"],
    "la": ["learning-rate", "decay", "mask-sides", "weights", "mean", "low-features", "high-features"],
}


@pytest.mark.parametrize(("dataset", "prefix", "dimensions"), [("acdc", "", 2), ("la", "la-", 3)])
def test_the_ladder_leads_from_paper_to_released(options, dataset, prefix, dimensions):
    names = [f"{prefix}step-{n}-{what}" for n, what in enumerate(LADDERS[dataset], start=1)]
    steps = [options(dataset, name) for name in ("step-0", *names)]
    changes = [{key for key in a if a[key] != b[key]} for a, b in pairwise(steps)]
    assert changes == [KEYS[what] for what in LADDERS[dataset]]
    for step, preset in ((steps[0], "paper"), (steps[-1], "released")):
        assert step == m3hl.Options(**m3hl.preset(preset, dimensions)).model_dump()


def test_the_control_does_not_mix(options):
    assert not options("acdc", "no-mix")["mix"]
    assert not options("la", "no-mix")["mix"]
