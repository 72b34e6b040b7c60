"""Real Snakemake runs of a tiny study in a folder of its own."""

import copy
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STUDY = {
    "name": "tiny",
    "datasets": {
        "hearts": {
            "kind": "acdc",
            "source": "phantom",
            "phantom": {"train": 3, "val": 1, "test": 1, "size": [32, 32]},
            "training": {
                "channels": 2,
                "crop": [32, 32],
                "labeled_batch": 2,
                "unlabeled_batch": 2,
                "iterations": 4,
                "validate_every": 2,
            },
        },
        "atria": {
            "kind": "la",
            "source": "phantom",
            "phantom": {"train": 3, "val": 0, "test": 1, "size": [32, 32, 32]},
            "training": {
                "channels": 2,
                "crop": [32, 32, 32],
                "labeled_batch": 2,
                "unlabeled_batch": 2,
                "iterations": 4,
                "validate_every": 2,
            },
        },
    },
    "methods": {
        "supervised": {"method": "supervised"},
        "m3hl": {"method": "m3hl", "options": {"high_features": "bottleneck"}},
    },
    "experiments": [
        {"dataset": ["hearts", "atria"], "method": ["supervised", "m3hl"], "labeled": [1], "seed": [1]}
    ],
}


class Workspace:
    """A folder in which a study is run as its user would, with the workflow of a project."""

    def __init__(self, folder, project=ROOT):
        self.folder, self.results, self.project = folder, folder / "results" / "tiny", project

    def snakemake(self, *arguments, study=STUDY, environment=None):
        """Run Snakemake on a study, and return the finished process with its output as one text in `stdout`."""
        return subprocess.run(
            self.command(study, *arguments),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | (environment or {}),
            timeout=600,
        )

    def start(self, *arguments, study=STUDY):
        """Start Snakemake on a study and return the process; `said` tells what it has said so far."""
        with (self.folder / "output").open("w") as output:
            return subprocess.Popen(
                self.command(study, *arguments), cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )

    def said(self):
        """Return what the started Snakemake has said."""
        return (self.folder / "output").read_text()

    def command(self, study, *arguments):
        """Write a study and return the command line that runs it."""
        (self.folder / "study.yaml").write_text(yaml.safe_dump(study))
        command = [sys.executable, "-m", "snakemake", "--snakefile", self.project / "workflow" / "Snakefile"]
        return [*command, "--cores", "2", "--configfile", "study.yaml", *arguments]

    def planned(self, *arguments, study=STUDY):
        """Return how many jobs of each rule would run."""
        done = self.snakemake("--dry-run", *arguments, study=study)
        assert done.returncode == 0, done.stdout
        stats = done.stdout.partition("Job stats:")[2].partition("\n\n")[0]
        counts = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE)}
        counts.pop("total", None)
        counts.pop("all", None)
        return counts


@pytest.fixture(scope="session")
def root():
    """Return the project's root."""
    return ROOT


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory):
    """Return a function that makes a workspace for the workflow of a project, in a new folder or a given one."""
    return lambda project, folder=None: Workspace(folder or tmp_path_factory.mktemp("study"), project)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """Return a workspace in which the tiny study has been run; not to be changed."""
    workspace, base = Workspace(tmp_path_factory.mktemp("study")), tmp_path_factory.getbasetemp()
    # Run once for all processes, whose folders lie beside each other; each gets a copy.
    shared = base if worker_id == "master" else base.parent
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished").exists():
            first = Workspace(tmp_path_factory.mktemp("first"))
            done = first.snakemake()
            assert done.returncode == 0, done.stdout
            (first.folder / "output").write_text(done.stdout)
            first.folder.rename(shared / "finished")
    shutil.copytree(shared / "finished", workspace.folder, dirs_exist_ok=True)
    return workspace


@pytest.fixture
def workspace(tmp_path):
    """Return an empty workspace."""
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def tiny_study():
    """Return the tiny study; not to be changed."""
    return STUDY


@pytest.fixture
def study():
    """Return a copy of the tiny study, to be changed."""
    return copy.deepcopy(STUDY)
