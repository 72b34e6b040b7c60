"""config/acdc-partial.yaml: the first iterations of the published training, no fewer knobs and no other ones."""

from pathlib import Path

import pytest

from m3hl.config.experiment import load_config

CONFIG = Path(__file__).parents[2] / "config"


def test_it_is_the_published_study_but_for_its_length():
    partial, published = (load_config(CONFIG / f"{name}.yaml") for name in ("acdc-partial", "paper"))
    assert {run.method for run in partial.runs()} == {"supervised", "m3hl"}
    for run in partial.runs():
        assert run in published.runs()
        ours, theirs = (study.settings(run).model_dump() for study in (partial, published))
        assert ours.pop("iterations") < theirs.pop("iterations") == 30_000
        assert ours == theirs


@pytest.mark.parametrize("method", ["supervised", "m3hl"])
def test_a_short_training_is_the_beginning_of_a_longer_one(launch, run_settings, tmp_path, method):
    short, long = (
        launch(run_settings(method=method, iterations=n, validate_every=2), tmp_path / str(n)).history.rows
        for n in (4, 8)
    )
    shared = {row["iteration"] for row in short} & {row["iteration"] for row in long}
    assert shared >= {2, 4}
    assert [row for row in short if row["iteration"] in shared] == [
        row for row in long if row["iteration"] in shared
    ]


def test_a_schedule_over_the_whole_length_would_be_seen(launch, run_settings, tmp_path):
    short, long = (
        launch(
            run_settings(options={"learning_rate_power": 0.9}, iterations=n, validate_every=2), tmp_path / str(n)
        )
        for n in (4, 8)
    )
    assert short.history.rows[-1] != next(row for row in long.history.rows if row["iteration"] == 4)
