"""config/acdc-partial.yaml: the published study, cut off, and nothing else."""

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


@pytest.fixture
def curves(launch, run_settings, tmp_path):
    """Return a function that gives the learning curves of 4 and of 8 iterations, as rows by iteration."""

    def train(**settings):
        trainings = (
            launch(run_settings(iterations=n, validate_every=2, **settings), tmp_path / str(n)) for n in (4, 8)
        )
        return [{row["iteration"]: row for row in training.history.rows} for training in trainings]

    return train


@pytest.mark.parametrize("method", ["supervised", "m3hl"])
def test_a_short_training_is_the_beginning_of_a_longer_one(curves, method):
    short, long = curves(method=method)
    shared = short.keys() & long.keys()
    assert shared >= {2, 4}
    assert [short[iteration] for iteration in shared] == [long[iteration] for iteration in shared]


def test_a_schedule_over_the_whole_length_would_be_seen(curves):
    short, long = curves(options={"learning_rate_power": 0.9})
    assert short[4] != long[4]
