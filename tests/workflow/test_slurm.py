"""A pipeline on a real SLURM: trainings that are cancelled or meet their time limit end as if nothing had been."""

import copy
import json
import random
import re
import shutil
import subprocess
import time

import pytest

from m3hl.files.digests import sha256_file
from m3hl.training.interruption import SAVED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
PROFILE = "workflow/profiles/slurm"
CANCELLED, LIMITED = "runs/short/m3hl/labeled-1/seed-1", "runs/long/supervised/labeled-1/seed-1"
FILES = ("best.pt", "last.pt", "history.csv", "metrics.csv")
TRIAL = 300
"""Iterations by which the machine's speed is known."""
SHORT, LONG = 30, 110
"""Seconds of computing of the training that is cancelled, and of the one that meets its time limit: a job whose
limit is a minute, SLURM's shortest, is ended within a minute and a half."""
VALIDATE_EVERY = 100
PATIENCE = 1500
"""Seconds after which a test gives up."""


@pytest.fixture(scope="module")
def cluster():
    """Skip where no SLURM answers."""
    if not shutil.which("sinfo"):
        pytest.skip("SLURM is not installed")
    answer = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, check=False, timeout=60)
    if answer.returncode != 0:
        pytest.skip(f"no SLURM answers: {answer.stderr.strip()}")
    settings = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=True).stdout
    if "proctrack/cgroup" not in settings:
        pytest.skip("this SLURM signals every process of a job and proves nothing; it must be proctrack/cgroup")
    if not {"cpu", "gpu"} <= {line.split()[0].rstrip("*") for line in answer.stdout.splitlines()}:
        pytest.skip("this SLURM has no partitions called cpu and gpu")


@pytest.fixture(scope="module")
def make_study(tiny_study):
    """Return a function that makes a study of two trainings on the same images, of so many iterations."""

    def make(short, long):
        study = copy.deepcopy(tiny_study)
        hearts, training = study["datasets"]["hearts"], study["datasets"]["hearts"]["training"]
        training["validate_every"] = VALIDATE_EVERY
        study["datasets"] = {
            name: hearts | {"training": training | {"iterations": iterations}}
            for name, iterations in (("short", short), ("long", long))
        }
        study["experiments"] = [
            {"dataset": ["short"], "method": ["m3hl"], "labeled": [1], "seed": [1]},
            {"dataset": ["long"], "method": ["supervised"], "labeled": [1], "seed": [1]},
        ]
        return study

    return make


@pytest.fixture(scope="module")
def long_study(launch, run_settings, make_study, tmp_path_factory):
    """Return a study of two trainings that take as long on this machine as they have to."""

    def seconds(method, iterations):
        settings = run_settings(method=method, iterations=iterations, validate_every=iterations)
        begun = time.process_time()
        launch(settings, tmp_path_factory.mktemp("trial"))
        return time.process_time() - begun

    def iterations(method, wanted):
        seconds(method, 1)  # imports what is imported once
        start = seconds(method, 1)
        each = (seconds(method, TRIAL) - start) / (TRIAL - 1)
        # A multiple, so that the last iteration is validated.
        return VALIDATE_EVERY * round(wanted / each / VALIDATE_EVERY)

    return make_study(iterations("m3hl", SHORT), iterations("supervised", LONG))


def wait_for(find, process):
    """Return what `find` gives as soon as it is true; fail if the process ends before."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := find():
            return found
        assert process.poll() is None, "Snakemake ended before its time"
        time.sleep(0.2)
    raise AssertionError("nothing happened")


@pytest.fixture(scope="module")
def submitted(cluster, root, make_workspace, long_study):
    """Return a workspace whose study has gone through SLURM, with one training cancelled in the middle."""
    workspace = make_workspace(root)
    arguments = ["--workflow-profile", root / PROFILE, "--set-resources"]
    # On the command line these take the place of all that the profile sets.
    arguments += ["train:runtime=1", "train:mem_mb=1000", "train:slurm_partition=gpu"]
    quick = ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10", "--slurm-no-account"]
    more = ["--retries", "9", "--slurm-keep-successful-logs"]
    with workspace.start(*arguments, *quick, *more, study=long_study) as process:

        def job():
            found = re.search(r"submitted with SLURM jobid (\d+) \(log: .*rule_train/short", workspace.said())
            return found and found[1]

        number = wait_for(job, process)
        wait_for(lambda: list((workspace.results / "work" / "short").rglob("last.pt")), process)
        time.sleep(random.uniform(0, 8))
        subprocess.run(["scancel", number], check=True)
        log = workspace.results / CANCELLED / "logs" / "train.log"
        # It says so until the next job begins a log of its own.
        saved = wait_for(lambda: re.search(rf"SIGTERM at iteration (\d+): {SAVED}", log.read_text()), process)
        assert process.wait(PATIENCE) == 0, workspace.said()
    workspace.cancelled, workspace.saved_at = number, int(saved[1])
    return workspace


@pytest.fixture(scope="module")
def local(root, make_workspace, long_study):
    """Return a workspace in which the same study was run on this machine, without interruption."""
    workspace = make_workspace(root)
    done = workspace.snakemake(study=long_study)
    assert done.returncode == 0, done.stdout
    return workspace


def attempts(workspace, run):
    """Return the logs of a training's SLURM jobs, which are called after the jobs, in their order."""
    dataset, method = run.split("/")[1:3]
    folder = workspace.folder / ".snakemake" / "slurm_logs" / "rule_train" / f"{dataset}_{method}_1_1"
    return sorted(folder.glob("*.log"), key=lambda path: int(path.stem))


def resumed_at(workspace, run):
    """Return the iterations from which a training went on."""
    return json.loads((workspace.results / run / "run.json").read_text())["resumed_at"]


def test_the_cancelled_training_had_saved_itself_and_went_on_from_there(submitted):
    assert resumed_at(submitted, CANCELLED)[0] == submitted.saved_at


def test_the_training_whose_time_was_over_had_saved_itself_and_went_on(submitted):
    # By itself a training saves every hundred iterations; what a signal saves is any number.
    assert any(iteration % VALIDATE_EVERY for iteration in resumed_at(submitted, LIMITED))


def test_the_time_limit_was_met(submitted):
    logs = [path.read_text() for path in attempts(submitted, LIMITED)]
    assert any("DUE TO TIME LIMIT" in log for log in logs)


@pytest.mark.parametrize("run", [CANCELLED, LIMITED])
def test_every_stage_ran_as_a_job(submitted, run):
    trained, evaluated = (
        json.loads((submitted.results / run / name).read_text())["provenance"]["slurm_job"]
        for name in ("run.json", "evaluation.json")
    )
    jobs = [path.stem for path in attempts(submitted, run)]
    assert len(jobs) > 1
    assert trained == jobs[-1] != submitted.cancelled
    assert evaluated not in jobs
    assert int(evaluated) > 0


@pytest.mark.parametrize("run", [CANCELLED, LIMITED])
def test_the_results_are_those_of_a_run_that_was_never_interrupted(submitted, local, run):
    digests = [[sha256_file(w.results / run / name) for name in FILES] for w in (submitted, local)]
    assert digests[0] == digests[1]


def test_nothing_is_left_and_nothing_runs_again(submitted, long_study):
    assert not list((submitted.results / "work").rglob("*.pt"))
    assert submitted.planned(study=long_study) == {}


def test_a_second_pipeline_in_the_same_folder_is_told_of_the_first(root, make_workspace, tiny_study):
    workspace = make_workspace(root)
    with workspace.start(study=tiny_study) as process:
        wait_for(lambda: list(workspace.folder.glob(".snakemake/locks/*")), process)
        second = workspace.snakemake(study=tiny_study)
        assert second.returncode != 0
        assert "LockException" in second.stdout or "locked" in second.stdout
        assert process.wait(PATIENCE) == 0
    assert workspace.planned(study=tiny_study) == {}
