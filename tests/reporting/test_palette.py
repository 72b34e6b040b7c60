"""The methods' colours can be told apart, also without red or green cones, and stand out from the ground."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from m3hl.config.experiment import load_config
from m3hl.reporting import palette as module
from m3hl.reporting.palette import SERIES, palette, series_name, series_variable

ROOT = Path(__file__).parents[2]
SIGHT = {
    "normal": np.eye(3),
    # Machado, Oliveira, Fernandes 2009: no cones for red, none for green.
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def linear(ground, name):
    code = palette(ground)[name]
    rgb = np.array([int(code[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def seen(rgb, sight):
    """Return a colour in CIELAB as it is seen with a kind of sight."""
    rgb = np.clip(np.asarray(SIGHT[sight]) @ rgb, 0, 1)
    return rgb2lab(np.where(rgb <= 0.0031308, rgb * 12.92, 1.055 * rgb ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("ground", ["light", "dark"])
def test_no_two_methods_look_alike(ground, sight):
    """CIEDE2000 of 10: told apart at a glance."""
    colors = [seen(linear(ground, series_name(n)), sight) for n in range(SERIES)]
    assert min(deltaE_ciede2000(one, other) for one, other in combinations(colors, 2)) > 10


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_every_colour_stands_out(ground):
    """WCAG 2.1, 1.4.11: at least 3 between the colours of a graphic and its ground."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    paper = linear(ground, "paper") @ weights
    for n in range(SERIES):
        low, high = sorted([paper, linear(ground, series_name(n)) @ weights])
        assert (high + 0.05) / (low + 0.05) >= 3


def test_there_are_as_many_colours_as_the_page_counts_with():
    style = (Path(module.__file__).parent / "templates" / "style.css").read_text("utf-8")
    assert len(re.findall(r"--series-\d+:", style)) == SERIES
    assert series_variable(SERIES - 1) == f"--series-{SERIES}"
    assert series_variable(SERIES) == series_variable(0) == "--series-1"


@pytest.mark.parametrize("study", ["paper", "table1-cpu"])
def test_table_1_and_two_methods_of_a_users_own_have_a_colour_each(study):
    methods = load_config(str(ROOT / "config" / f"{study}.yaml")).methods
    assert len({series_name(n) for n in range(len(methods) + 2)}) == len(methods) + 2
