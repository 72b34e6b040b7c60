"""config/ablation.yaml is what it says: Table 2's losses, Fig. 4's grid, and a ladder of one step at a time."""

from itertools import pairwise, product
from pathlib import Path

import pytest

from m3hl.config.experiment import load_config

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


def test_the_ladder_leads_from_paper_to_released(options):
    names = [
        "step-0",
        "step-1-learning-rate",
        "step-2-mask-sides",
        "step-3-weights",
        "step-4-mean",
        "step-5-low-features",
    ]
    steps = [options("acdc", name) for name in names]
    changes = [{key for key in a if a[key] != b[key]} for a, b in pairwise(steps)]
    assert changes == [
        {"learning_rate"},
        {"mask_keeps"},
        {"labeled_weight", "unlabeled_weight"},
        {"reduction"},
        {"low_features"},
    ]


def test_the_control_does_not_mix(options):
    assert not options("acdc", "no-mix")["mix"]
    assert not options("la", "no-mix")["mix"]
