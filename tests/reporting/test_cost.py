"""What runs cost: means, ranges and sums of what their records say, and no word where they say nothing."""

import json

import pytest

from m3hl.reporting.page import gather, render
from m3hl.reporting.sections import cost
from m3hl.reporting.study import load_study

GPU = {"device": "cuda", "device_name": "A GPU", "precision": "bf16", "compilation": "off"}


@pytest.fixture
def study(results, make_config):
    """Return a function that loads the study after records of the run number `n` were changed."""

    def load(changes=None, **provenance):
        config = make_config()
        for number, run in enumerate(config.runs()):
            path = results / run.path / "run.json"
            if number == 0 and path.exists():
                record = json.loads(path.read_text()) | (changes or {})
                record["provenance"] |= provenance
                path.write_text(json.dumps(record))
        return load_study(config, results)

    return load


def first(study):
    """Return what the page says of the first row, by heading."""
    content = cost.content(study)
    return dict(zip([heading for heading, _ in content["headings"]], content["lines"][0]["cells"], strict=True))


def test_mean_and_range_over_seeds(study):
    found = first(study({"seconds": 241.0, "settings": {"iterations": 1000}}))
    assert found == {
        "Training": ("3:01", "2:01–4:01"),
        "Step": ("221", "202–241"),
        "Memory": ("0.8", ""),
        "Evaluation": ("0:04", ""),
    }


def test_sums_are_over_all_runs(study):
    content = cost.content(study())
    assert content["totals"] == {"training_seconds": "16:08", "evaluation_seconds": "0:34"}


def test_gpus_tell_memory_and_energy_and_runs_without_show_a_dash(study):
    loaded = study(**GPU, peak_gpu_memory_mib=2048, gpu_energy_kj=12.4)
    content = cost.content(loaded)
    assert first(loaded)["GPU memory"] == ("2.0", "")
    assert first(loaded)["GPU energy"] == ("12", "")
    assert content["lines"][1]["cells"][3] == ("–", "")
    assert content["totals"]["gpu_energy_kj"] == "12"
    assert content["lines"][0]["device"] == "A GPU, bf16; A processor, 2 cores, 1 thread"
    assert "The GPUs took 12 kJ in 1 training." in render(loaded, gather(loaded))


def test_the_energy_of_an_interrupted_run_is_not_told(study):
    loaded = study({"resumed_at": [300]}, gpu_energy_kj=12.4)
    assert "GPU energy" not in first(loaded)
    assert "Energy is not told" in render(loaded, gather(loaded))


def test_the_table_has_numbers_in_full_and_as_shown(study):
    table = cost.content(study({"seconds": 241.0}))["table"]
    assert table.data.loc[0, ["dataset", "method", "labeled", "runs", "planned"]].tolist() == [
        "hearts", "supervised", 3, 2, 2,
    ]  # fmt: skip
    assert table.data.loc[0, "training_seconds_mean"] == 181
    assert table.data.loc[0, "training_seconds_max"] == 241
    assert table.shown.loc[0, "Training"] == "3:01 (2:01–4:01)"
    assert len(table.data) == len(table.shown) == 4


def test_runs_that_have_not_trained_are_gaps(results, make_config):
    config = make_config()
    for run in list(config.runs())[:3]:
        for name in ("run.json", "metrics.csv", "evaluation.json"):
            (results / run.path / name).unlink()
    html = render(study := load_study(config, results), gather(study))
    section = html[html.index('id="cost"') :]
    assert "5 of 8 runs have trained" in section
    assert "not yet: training has not ended" in section
    assert "1 of 2" in section


def test_nothing_is_counted_where_nothing_has_run(tmp_path, make_config):
    content = cost.content(load_study(make_config(), tmp_path))
    assert content["trained"] == 0
    assert content["headings"] == []
