"""A pipeline on Kubernetes: the real plugin against a stand-in for a cluster, which ends two trainings early."""

import copy
import importlib.util
import json
import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from m3hl.files.digests import sha256_file

pytestmark = pytest.mark.slow
CLUSTER = runpy.run_path(str(Path(__file__).with_name("cluster.py")))
PROFILE = "workflow/profiles/kubernetes"
ENDS = {"supervised": "evict", "m3hl": "run_out_of_memory"}
"""How the first training of each method is ended."""
FILES = ("best.pt", "last.pt", "history.csv", "metrics.csv")
ITERATIONS = 240
VALIDATE_EVERY = 20
PATIENCE = 300
"""Seconds after which a test gives up."""


def run_folder(method):
    return f"runs/hearts/{method}/labeled-1/seed-1"


def pods_of(ran, rule):
    """Return the pods of a rule, in the order in which they were started."""
    return [pod for pod in ran.pods if f"--allowed-rules {rule} " in pod.container["args"][1]]


@pytest.fixture(scope="module")
def pods():
    """Skip where the plugins are not installed, or a process cannot be given mounts of its own."""
    for name in ("snakemake_executor_plugin_kubernetes", "snakemake_storage_plugin_fs"):
        if not importlib.util.find_spec(name):
            pytest.skip(f"{name} is not installed")
    for program in ("git", "rsync"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    tried = subprocess.run(
        [*CLUSTER["UNSHARE"], "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(f"mounts of their own are not permitted to processes here: {tried.stderr.strip()}")


@pytest.fixture(scope="module")
def slices(tiny_study):
    """Return the tiny study in 2D, with trainings of some seconds."""
    study = copy.deepcopy(tiny_study)
    del study["datasets"]["atria"]
    study["datasets"]["hearts"]["training"] |= {"iterations": ITERATIONS, "validate_every": VALIDATE_EVERY}
    study["experiments"][0]["dataset"] = ["hearts"]
    return study


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """Return a git clone of the project, as far as pods need it."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("workflow", "m3hl"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    for command in (["init"], ["add", "."], [*author, "commit", "--message", "everything"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def ran(pods, project, make_workspace, slices, tmp_path_factory):
    """Return what a pipeline leaves in the cluster: one training was evicted, one used too much memory."""
    folder = tmp_path_factory.mktemp("cluster")
    volume = folder / "volume"
    volume.mkdir()
    workspace = make_workspace(project, project)
    programs = dict.fromkeys(map(os.path.dirname, (sys.executable, shutil.which("rsync"), "/usr/bin/", "/bin/")))

    def start(*arguments):
        separate = tmp_path_factory.mktemp("snakemake")
        command = workspace.command(slices, "--workflow-profile", PROFILE, *arguments)
        with (separate / "output").open("w") as output:
            process = subprocess.Popen(
                CLUSTER["enclosed"](separate, project, [(volume, "/m3hl")], *command),
                env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return process, separate / "output"

    image = {"PATH": os.pathsep.join(programs)}
    with CLUSTER["Cluster"](folder, {"m3hl": volume}, image, hidden=[project]) as cluster:
        process, output = start("--seconds-between-status-checks", "1")
        try:
            end_trainings(process, volume / "results" / "tiny" / "work", cluster.pods)
            assert process.wait(PATIENCE) == 0, output.read_text()
        finally:
            process.kill()
        dry_run, planned = start("--dry-run")
        assert dry_run.wait(PATIENCE) == 0, planned.read_text()
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True
        )
        return SimpleNamespace(
            results=volume / "results" / "tiny",
            pods=list(cluster.pods.values()),
            left=(cluster.secrets.keys() | cluster.jobs.keys()) - cluster.deleted,
            planned=planned.read_text(),
            commit=head.stdout.strip(),
        )


def end_trainings(process, work, pods):
    """End the first training of each method as soon as it has a checkpoint."""
    todo = dict(ENDS)
    while todo and process.poll() is None:
        for method in [method for method in todo if list((work / "hearts" / method).rglob("*.pt"))]:
            target = f"train:dataset=hearts,method={method},"
            (pod,) = (pod for pod in list(pods.values()) if target in pod.container["args"][1])
            getattr(pod, todo.pop(method))()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def local(pods, root, make_workspace, slices):
    """Return the workspace of the same study, run here without interruption."""
    workspace = make_workspace(root)
    done = workspace.snakemake(study=slices)
    assert done.returncode == 0, done.stdout
    return workspace


def test_the_results_are_in_the_storage(ran):
    for name in ("report.html", "table1.csv"):
        assert (ran.results / name).stat().st_size > 0


@pytest.mark.parametrize("method", ENDS)
def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_been(ran, local, method):
    record = json.loads((ran.results / run_folder(method) / "run.json").read_text())
    (resumed,) = record["resumed_at"]
    assert 0 < resumed < ITERATIONS
    digests = [[sha256_file(w.results / run_folder(method) / name) for name in FILES] for w in (ran, local)]
    assert digests[0] == digests[1]


def test_the_table_is_the_same(ran, local):
    assert (ran.results / "table1.csv").read_text() == (local.results / "table1.csv").read_text()


def test_trainings_ask_for_a_gpu_and_nothing_else_does(ran):
    gpu = CLUSTER["GPU"]
    limits = {
        rule: [pod.container["resources"].get("limits", {}).get(gpu) for pod in pods_of(ran, rule)]
        for rule in ("train", "evaluate", "report")
    }
    assert limits == {"train": ["1"] * 4, "evaluate": ["0"] * 2, "report": [None]}
    asking = [pod for pod in ran.pods if pod.container["resources"]["requests"].get(gpu, "0") != "0"]
    assert asking == pods_of(ran, "train")


def test_every_pod_asks_for_memory_and_a_training_for_more_when_it_is_started_again(ran):
    assert all(pod.container["resources"]["requests"]["memory"] for pod in ran.pods)
    memory = [pod.container["resources"]["limits"]["memory"] for pod in pods_of(ran, "train")]
    assert memory == ["8000M", "8000M", "12000M", "12000M"]


def test_the_image_is_the_profile_s(ran):
    assert {pod.container["image"] for pod in ran.pods} == {"registry.example.org/m3hl:latest"}


def test_results_name_the_commit(ran):
    provenance = json.loads((ran.results / run_folder("m3hl") / "run.json").read_text())["provenance"]
    assert provenance["commit"] == ran.commit


def test_nothing_is_left_and_nothing_runs_again(ran):
    assert not list((ran.results / "work").rglob("*.pt"))
    assert not list(ran.results.parents[1].glob("*.tar.xz"))
    assert "Nothing to be done" in ran.planned
    # The plugin keeps the job whose pod is gone.
    assert ran.left == {pod.name for pod in ran.pods if pod.gone == "evicted"}
