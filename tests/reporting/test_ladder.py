"""From preset `paper` to `released`: rungs, and steps by hand."""

from types import SimpleNamespace

import pytest

from m3hl.reporting.ablations.families import m3hl_lines
from m3hl.testing.small import settings
from tests.reporting.ablation_study import small

STEPS = {
    "released": {},
    "three": {"preset": "paper", "options": {"learning_rate": 0.01, "reduction": "mean"}},
    "other": {"preset": "paper", "options": {"low_features": "last_decoder"}},
    "one": {"preset": "paper", "options": {"learning_rate": 0.01}},
    "paper": {"preset": "paper"},
}


def rungs_of(ladder):
    return [(rung.line.row.method, rung.turned, rung.step) for rung in ladder["rungs"]]


def test_a_step_is_taken_from_the_rung_with_most_of_its_changes(content_of):
    dice = {"paper": 70.0, "one": 75.0, "other": 60.0, "three": 74.0, "released": 80.0}
    (ladder,) = content_of(small(STEPS, kind="acdc", labeled=7), dice=lambda run: dice[run.method])["d"]["ladders"]
    assert rungs_of(ladder) == [
        ("paper", (), None),
        ("other", ("low_features",), pytest.approx(-10)),
        ("one", ("learning_rate",), pytest.approx(5)),
        ("three", ("reduction",), pytest.approx(-1)),
        ("released", ("mask_keeps", "labeled_weight", "unlabeled_weight", "low_features"), pytest.approx(6)),
    ]
    assert [rung.previous and rung.previous.line.row.method for rung in ladder["rungs"]] == [
        None, "paper", "paper", "one", "three",
    ]  # fmt: skip
    table = ladder["table"]
    assert table.data["step_from"].tolist()[1:] == ["paper", "paper", "one", "three"]
    assert [row[4] for row in table.cells[1:]] == ["–", "−10.00", "+5.00", "−1.00", "+6.00"]


def test_a_line_with_a_network_of_a_users_own_is_of_no_family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("")
    chosen = [settings("m3hl", 2, {"consistency_loss": False}, network) for network in (None, "./net.py")]
    lines = [SimpleNamespace(row=SimpleNamespace(settings=each)) for each in chosen]
    assert m3hl_lines(lines) == lines[:1]


def test_a_step_counts_only_seeds_that_both_rungs_have(content_of):
    methods = {name: STEPS[name] for name in ("paper", "one", "three")}
    dice = {("paper", 1): 70.0, ("paper", 2): 50.0, ("one", 1): 72.0, ("three", 2): 90.0}
    config = small(methods, kind="acdc", seeds=(1, 2))
    (ladder,) = content_of(config, dice=lambda run: dice.get((run.method, run.seed)))["d"]["ladders"]
    assert [rung.step for rung in ladder["rungs"]] == [None, pytest.approx(2), None]


def test_both_presets_are_set_side_by_side(content_of):
    data = content_of(small({"a": {"options": {"learning_rate": 0.02}}, "b": {"preset": "paper"}}))["d"]
    assert (data["loss_tables"], data["grids"], data["ladders"]) == ([], [], [])
    records = {option: values for option, *values in data["differences"].cells[1:]}
    assert records["mask_keeps"][:2] == ["unlabeled, unlabeled", "labeled, unlabeled"]
    assert records["learning_rate_decay_every"][:2] == ["–", "2\u202f500"]
    assert "Eq. 3" in records["reduction"][2]
    assert len(records) == 8
    data = content_of(small({"a": {}, "b": {"preset": "paper"}}, kind="acdc"))["d"]
    assert [len(rung.changes) for rung in data["ladders"][0]["rungs"]] == [0, 6]
