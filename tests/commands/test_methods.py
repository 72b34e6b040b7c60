"""`m3hl methods`: every method in a line, or as JSON."""

import json

import pytest

from m3hl.config import methods
from m3hl.reporting.published import ROWS


def test_every_method_has_a_line(program):
    code, out, _ = program("methods")
    head, *lines = out.splitlines()
    assert code == 0
    assert head.split()[:3] == ["method", "title", "data"]
    assert [line.split()[0] for line in lines] == methods.names()
    assert next(line for line in lines if line.startswith("abd ")).split()[2] == "2D"


def test_json_says_what_the_modules_say(program):
    rows = {row["method"]: row for row in map(json.loads, program("methods", "--json")[1].splitlines())}
    assert rows["bcp"]["stages"] == ["pretraining", "self-training"]
    assert rows["m3hl"]["stages"] == []
    assert rows["abd"]["dimensions"] == [2]
    assert rows["cutmix"]["presets"][0] == "benchmark"
    assert rows["cps"]["cost"] == 2


@pytest.mark.parametrize("name", methods.names())
def test_a_methods_publication_is_where_table_1_says(name):
    module = methods.load(name)
    venues = {title.rstrip("*"): venue for title, venue, *_ in ROWS}
    if venue := venues.get(module.TITLE):
        assert module.PUBLICATION.endswith(venue)
        assert module.CODE_LICENSE
