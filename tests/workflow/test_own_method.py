"""A method and a network of a user's own in the pipeline: rows of the table, and what an edit runs again."""

import copy
import json
import shutil
import subprocess

import pytest
from snakemake.settings.types import SharedFSUsage

from m3hl.files.digests import sha256_file
from m3hl.inference.weights import Weights
from tests.own import write_method, write_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_study(tiny_study):
    """Return the tiny study in 2D, with a method and a network that lie beside its configuration."""
    study = copy.deepcopy(tiny_study)
    del study["datasets"]["atria"]
    study["methods"] = {
        "supervised": {"method": "supervised"},
        "mine": {"method": "./mine.py"},
        "small": {"method": "supervised", "network": "./net.py"},
    }
    study["experiments"][0] |= {"dataset": ["hearts"], "method": list(study["methods"])}
    return study


@pytest.fixture(scope="module")
def trained(make_workspace, root, own_study):
    """Return a workspace in which the study has been run."""
    workspace = make_workspace(root)
    write_method(workspace.folder)
    write_network(workspace.folder)
    done = workspace.snakemake(study=own_study)
    assert done.returncode == 0, done.stdout
    return workspace


def records_of(trained, method):
    """Return what training and evaluation have recorded of a method's run."""
    run = trained.results / "runs" / "hearts" / method / "labeled-1" / "seed-1"
    return [json.loads((run / name).read_text()) for name in ("run.json", "evaluation.json")]


def test_it_has_a_row_in_the_table_and_says_where_it_is_from(trained):
    assert "mine" in (trained.results / "table1.csv").read_text()
    record, _ = records_of(trained, "mine")
    digest = sha256_file(trained.folder / "mine.py")
    assert record["provenance"]["method_source"] == {"file": "./mine.py", "sha256": digest}
    assert {"./mine.py", "./doubt.py"} <= set(record["seal"]["sources"])
    page = (trained.results / "report.html").read_text()
    assert f"./mine.py, {digest}" in page
    assert "mean entropy of the student" in page


def test_a_network_has_a_row_and_says_where_it_is_from(trained):
    assert "small" in (trained.results / "table1.csv").read_text()
    record, evaluated = records_of(trained, "small")
    digest = sha256_file(trained.folder / "net.py")
    assert record["provenance"]["network_source"] == {"file": "./net.py", "sha256": digest}
    for sources in (record["seal"]["sources"], evaluated["seal"]["sources"]):
        assert {"./net.py", "./layers.py"} <= set(sources)
    page = (trained.results / "report.html").read_text()
    assert f"./net.py, {digest}" in page
    assert "network ./net.py" in page


@pytest.mark.parametrize("name", ["doubt.py", "layers.py"])
def test_only_an_edit_of_its_source_trains_it_again(trained, own_study, name):
    assert trained.planned(study=own_study) == {}
    file = trained.folder / name
    text = file.read_text()
    try:
        file.write_text(text + "\n# A comment.\n")
        assert trained.planned(study=own_study) == {}
        file.write_text(text + "EDITED = 1\n")
        assert trained.planned(study=own_study) == {"train": 1, "evaluate": 1, "report": 1}
    finally:
        file.write_text(text)


def test_where_the_file_is_missing_one_line_says_so_and_its_weights_are_read_nevertheless(
    trained, own_study, workspace
):
    done = workspace.snakemake("--dry-run", study=own_study)
    assert done.returncode == 1
    assert f"config: ./mine.py: there is no such file from {workspace.folder} on" in done.stdout
    assert "Traceback" not in done.stdout
    copy_of = workspace.folder / "best.pt"
    shutil.copyfile(next(trained.results.rglob("mine/*/*/best.pt")), copy_of)
    assert Weights.load(copy_of).settings.options.weight == 0.1


def test_a_cluster_without_shared_files_gets_it_from_git(workspace, own_study):
    shared = ["--shared-fs-usage", *sorted({"persistence", "input-output", "software-deployment"})]
    assert SharedFSUsage.SOURCES.item_to_choice() not in shared
    write_method(workspace.folder)
    write_network(workspace.folder)
    for command in (["init"], ["add", "mine.py"]):
        subprocess.run(["git", *command], cwd=workspace.folder, check=True, capture_output=True)
    done = workspace.snakemake("--dry-run", *shared, study=own_study)
    assert done.returncode == 1
    assert "doubt.py: the pods would not get this file" in done.stdout
    subprocess.run(["git", "add", "doubt.py", "net.py"], cwd=workspace.folder, check=True)
    assert (
        "layers.py: the pods would not get this file" in workspace.snakemake("-n", *shared, study=own_study).stdout
    )
    subprocess.run(["git", "add", "layers.py"], cwd=workspace.folder, check=True)
    assert workspace.planned(*shared, study=own_study)["train"] == 3
