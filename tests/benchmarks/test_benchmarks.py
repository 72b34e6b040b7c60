"""The benchmarks run, and the plain baseline that they compare with computes the same as the project."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from m3hl.compute.execution import Execution
from m3hl.config import methods
from m3hl.data.store import Store
from m3hl.methods import stages_of
from m3hl.training.step import step
from tests.benchmarks.plain import PlainTraining
from tests.benchmarks.steps import Training
from tests.benchmarks.stores import make_store, settings, study

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
PASSES = {
    "mean-teacher": 7 / 6,
    "ua-mt": 2.5,
    "cutmix": 11 / 12,
    "cps": 2,
    "dtc": 1,
    "sassnet": 4 / 3,
    "ss-net": 10 / 3,
    "mc-net": 1,
    "ad-mt": 11 / 6,
    "ps-mt, warm-up": 3 / 2,
    "ps-mt, self-training": 4 / 3,
    "bcp, pretraining": 1 / 4,
    "bcp, self-training": 2 / 3,
    "abd, pretraining": 1 / 4,
    "abd, self-training": 10 / 3,
    "omf, pretraining": 3 / 4,
    "omf, mantle-free": 5 / 12,
}
"""Of a step in those of a supervised one on as many images, halves being equal."""


@pytest.mark.parametrize("dataset", ["acdc", "la"])
def test_the_plain_baseline_computes_the_same_step(dataset, tmp_path, monkeypatch):
    config = study(tiny=True)
    run, path = settings(config, dataset), make_store(config, dataset, tmp_path)
    plain = PlainTraining(run, path, CPU)
    with Store(path) as store:
        ours = Training(run, store, Execution(CPU))
        batch = ours.batches.draw(0)
    for module in (*ours.method.modules(), *plain.student.modules(), *plain.teacher.modules()):
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    plain.student.load_state_dict(ours.method.student.state_dict())
    plain.teacher.load_state_dict(ours.method.teacher.state_dict())
    mask = ours.method.draw_mask(batch)
    monkeypatch.setattr(ours.method, "draw_mask", lambda _: mask)
    monkeypatch.setattr(plain, "mask", lambda _: mask)
    batches = iter([(batch.labeled_images, batch.labels), (batch.unlabeled_images, None)])
    monkeypatch.setattr(plain, "batch", lambda *_: next(batches))

    expected = step(ours.method, ours.updates, batch, Execution(CPU))
    assert plain.step() == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4)
    for name, network in ours.method.networks().items():
        for one, other in zip(network.parameters(), getattr(plain, name).parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dataset", ["acdc", "la"])
def test_the_plain_baseline_reads_and_augments_its_own_batches(dataset, tmp_path):
    config = study(tiny=True)
    plain = PlainTraining(settings(config, dataset), make_store(config, dataset, tmp_path), CPU)
    images, labels = plain.batch(plain.labeled, 2)
    assert images.shape == (2, 1, *plain.settings.crop)
    assert labels.shape == (2, *plain.settings.crop)
    mask = plain.mask(1)
    assert mask.mean().item() == pytest.approx(0.5)


def test_the_benchmarks_run(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    arguments = ["--tiny", "--rounds", "1", "--device", "cpu", "--threads", "1", "--out", "numbers.json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    for n, dataset in ((2, "acdc"), (3, "la")):
        found = numbers[dataset]
        assert found["step, float32"]["of_plain"] == found["step, float32"]["seconds"] / found["plain"]
        for method in ("m3hl", *(name for name in PASSES if n in methods.dimensions(name.partition(",")[0]))):
            row = found[f"step, {method}"]
            assert row["of_supervised"] == row["seconds"] / row["supervised"] > 0
            assert row["passes"] == pytest.approx(PASSES.get(method, row["passes"]))
            name, _, stage = method.partition(", ")
            # The last stage is what `m3hl methods` tells of.
            if stage in ("", stages_of(name)[-1].stage):
                assert row["passes"] == pytest.approx(methods.load(name).COST)
        assert found["views"]["strong"] > 0
        assert sum(found["parts"].values()) > 0
        assert 0 < found["validation"]["share"] < 1
        assert found["inference"]["voxels_that_differ"] == 0
    assert numbers["metrics"]["largest_difference"] < 1e-9
    assert numbers["provenance"]["device"] == "cpu"
