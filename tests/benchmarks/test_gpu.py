"""gpu.sh on a bare machine: it trains without the packages that are not there, is interrupted, and goes on."""

import json
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import yaml

from m3hl.config.experiment import load_config
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.inference.weights import Weights
from m3hl.reporting.study import load_study
from tests.benchmarks.gpu.jobs import choose, read_list
from tests.benchmarks.gpu.pieces import bundles, join
from tests.benchmarks.gpu.prepare import NEEDED, pack_store
from tests.benchmarks.stores import make_store

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "gpu"
BARE = ("torch", "numpy", "h5py", "scipy")
"""What a bare machine has, with what torch itself needs."""
TORCH_NEEDS = ("filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "sympy", "typing_extensions")
ITERATIONS = 400
TINY = {"channels": 2, "crop": [32, 32], "labeled_batch": 2, "unlabeled_batch": 2, "iterations": ITERATIONS}
PHANTOM = {
    "kind": "acdc",
    "source": "phantom",
    "device": "cpu",
    "phantom": {"train": 4, "val": 1, "test": 1, "size": [40, 40]},
}
STUDY = {
    "name": "tiny",
    "datasets": {"hearts": PHANTOM | {"training": TINY}},
    "methods": {"m3hl": {"method": "m3hl"}},
    "experiments": [{"dataset": ["hearts"], "method": ["m3hl"], "labeled": [2]}],
}
NAME, RUN = "tiny/hearts/m3hl/labeled-2/seed-1337", "runs/hearts/m3hl/labeled-2/seed-1337"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a configuration, what is carried, and the Python of a bare machine."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(STUDY))
    store = make_store(STUDY, "hearts", folder / "made")
    pack_store(store.rename(folder / "acdc-phantom.h5"), 2**16, folder / "carry")
    for name in NEEDED:
        as_wheel(name, folder / "carry" / "wheels")
    bare_python(folder / "bare")
    return folder


def as_wheel(name, folder):
    """Write an installed package as a wheel: what lies in site-packages of it."""
    folder.mkdir(exist_ok=True)
    found = distribution(name)
    with ZipFile(folder / f"{found.name}.whl", "w") as wheel:
        for file in found.files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                wheel.write(file.locate(), file)


def bare_python(folder):
    """Make an environment that holds nothing but what a bare machine has."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in (*BARE, *TORCH_NEEDS):
        files = [file for file in distribution(name).files if ".." not in file.parts]
        for top in {file.parts[0] for file in files} - {"__pycache__"}:
            (site / top).symlink_to(distribution(name).locate_file(top))


def call(folder, place, budget, *arguments):
    """Call gpu.sh in `place` as on the bare machine, and return what it says."""
    place.mkdir(exist_ok=True)
    environment = {
        "PATH": f"{folder / 'bare' / 'bin'}:{os.environ['PATH']}",
        "BUDGET": str(budget),
        "PRECISION": "float32",
        "OMP_NUM_THREADS": "1",
    }
    brought = place / "build" / "carry"
    if not brought.exists():
        brought.parent.mkdir()
        brought.symlink_to(folder / "carry")
    done = subprocess.run(
        [ROOT / "tests" / "benchmarks" / "gpu.sh", "--configs", folder, *(arguments or ["tiny/*"])],
        cwd=place, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def carried_on(folder, first, second):
    """Return a place that has nothing but what a call in `first` has left to be carried."""
    (second / "build" / "carry").mkdir(parents=True)
    for file in (*(folder / "carry").iterdir(), *(first / "build" / "gpu" / "out").iterdir()):
        (second / "build" / "carry" / file.name).symlink_to(file)
    return second


def interrupted_and_carried_on(folder, tmp_path):
    """Train until the time is over, carry all to another machine, and end there; return its place."""
    # A budget that just suffices to begin does not suffice to end, however busy the machine is.
    first, budget, said = tmp_path / "first", 6, ""
    while not list(first.glob("build/gpu/out/state.*")):
        assert "done now" not in said, "the training ends before its time is over"
        said, budget = call(folder, first, budget), 1.4 * budget
    assert said.endswith(f"{NAME}: goes on at the next call\nThe time is over: call again.\n")
    second = carried_on(folder, first, tmp_path / "second")
    assert f"{NAME}: done now" in call(folder, second, 600)
    return second


@pytest.mark.slow
def test_interrupted_runs_go_on_elsewhere_and_end_with_the_same_bits(folder, tmp_path):
    with ThreadPoolExecutor() as both:
        without = both.submit(call, folder, tmp_path / "without", 600)
        place = interrupted_and_carried_on(folder, tmp_path)
    assert f"{NAME}: done now" in without.result()

    results, expected = (where / "build" / "gpu" / "results" / "tiny" for where in (place, tmp_path / "without"))
    record = json.loads((results / RUN / "run.json").read_text())
    assert 0 < record["resumed_at"][0] < ITERATIONS
    assert not json.loads((expected / RUN / "run.json").read_text())["resumed_at"]
    for name in ("best.pt", "last.pt", "history.csv", "metrics.csv"):
        assert sha256_file(results / RUN / name) == sha256_file(expected / RUN / name), name

    # What is left is small, can be copied into results/, and is what the page reads.
    out = place / "build" / "gpu" / "out"
    kept = tmp_path / "kept"
    ((_, pieces),) = [item for item in bundles(out).items() if item[0][0] == "results"]
    join(pieces, kept)
    with tarfile.open(kept) as archive:
        archive.extractall(tmp_path, filter="data")
    study = load_study(load_config(folder / "tiny.yaml"), tmp_path / "results" / "tiny")
    assert [result.gaps for result in study.results] == [()]
    assert not list(out.glob("state.*"))
    (weights,) = out.glob("weights.tiny.hearts.*.1-of-1")
    halved, whole = (Weights.load(path).network for path in (weights, results / RUN / "best.pt"))
    for one, other in zip(halved.parameters(), whole.parameters(), strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=1e-3, atol=1e-6)

    # Nothing is done twice.
    assert call(folder, place, 600) == f"{NAME}: done\n"


def test_runs_whose_data_have_not_come_wait(folder, tmp_path):
    (tmp_path / "build" / "carry").mkdir(parents=True)
    (tmp_path / "build" / "carry" / "wheels").symlink_to(folder / "carry" / "wheels")
    first, *others = sorted((folder / "carry").glob("store-*"))
    assert others
    (tmp_path / "build" / "carry" / first.name).symlink_to(first)
    said = call(folder, tmp_path, 60, "tiny/*", "speed")
    assert "seed-1337: waits for the data: bring every piece of store-acdc-phantom\n" in said
    assert said.endswith("speed: waits for the data: bring every piece of store-acdc-public and store-la-public\n")


def test_the_list_holds_every_run_of_table_1_and_the_ablations_once():
    jobs = list(choose(read_list(HERE / "runs.txt"), ROOT / "config", Path("results")))
    assert jobs[0] is None
    names = [job.name for job in jobs[1:]]
    studies = [load_config(ROOT / "config" / f"{name}.yaml") for name in ("paper", "ablation")]
    assert len(names) == len(set(names)) == sum(len(study.runs()) for study in studies)
    assert names[:2] == ["paper/acdc/m3hl/labeled-7/seed-1337", "paper/acdc/m3hl-paper/labeled-7/seed-1337"]


def test_the_list_names_full_size_runs_selected_as_it_says():
    jobs = [job for job in choose(read_list(HERE / "runs.txt"), ROOT / "config", Path("results")) if job]
    iterations = {job.run.dataset: job.settings["iterations"] for job in jobs}
    rules = {job.run.dataset: job.settings["selection"] for job in jobs}
    assert iterations == {"acdc": 30_000, "la": 15_000, "la-by-test": 15_000}
    assert rules == {"acdc": "val", "la": "last", "la-by-test": "test"}


def test_a_name_without_a_run_is_an_error():
    with pytest.raises(UserError, match="paper/acdc/nnunet: there is no such run"):
        list(choose(["paper/acdc/nnunet"], ROOT / "config", Path("results")))
