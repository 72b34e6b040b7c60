"""What Snakemake says about a user's mistakes, and the configurations that the project ships."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda s: s["datasets"]["hearts"].update(sorce="raw"),
            "config: datasets.hearts.sorce: there is no such key; check the spelling",
        ),
        (lambda s: s["experiments"][0].update(dataset=["livers"]), "unknown dataset 'livers'"),
        (lambda s: s["experiments"][0].update(method=["ua-mt"]), "unknown method 'ua-mt'"),
        (lambda s: s["methods"]["m3hl"].update(preset="printed"), "unknown preset 'printed'"),
        (
            lambda s: s["methods"]["m3hl"]["options"].update(mask_patch_size=5),
            "crop [32, 32] must be a multiple of mask_patch_size [5, 5]",
        ),
        (lambda s: s.pop("experiments"), "there are no experiments, so there is nothing to run"),
    ],
)
def test_a_wrong_configuration_is_one_line_before_anything_runs(workspace, study, change, line):
    change(study)
    done = workspace.snakemake(study=study)
    assert done.returncode == 1
    assert line in done.stdout
    assert "Traceback" not in done.stdout
    assert not workspace.results.exists()


def test_a_missing_folder_is_named(workspace, study):
    study["datasets"] = {"hearts": {"kind": "acdc", "source": "public", "path": "nowhere"}}
    study["experiments"][0].update(dataset=["hearts"])
    done = workspace.snakemake(study=study)
    assert done.returncode == 1
    assert "m3hl: error: nowhere: there is no such folder; check path, or set download: true" in done.stdout
    assert not list(workspace.results.glob("data/*.json"))


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (None, "cases.csv: there is no such list of cases; check the path"),
        ("a,a.nii,a.nii,train\nb,b.nii,b.nii,test\n", "a.nii: there is no such file (and 1 more files)"),
        ("a,a.nii,a.nii,train\n", "no case is in the split test"),
    ],
)
def test_a_wrong_list_of_scans_is_one_line_before_anything_runs(workspace, study, rows, line):
    study["datasets"] = {
        "mine": {"kind": "custom", "source": "folder", "path": "cases.csv", "dimensions": 3, "classes": ["x"]},
    }
    study["experiments"][0].update(dataset=["mine"])
    if rows:
        (workspace.folder / "cases.csv").write_text("case,image,label,split\n" + rows)
    done = workspace.snakemake(study=study)
    assert done.returncode == 1
    assert done.stdout.count(line) == 1
    assert "Traceback" not in done.stdout
    assert not workspace.results.exists()


def test_without_the_image_one_line_says_what_to_do(make_workspace, tmp_path):
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    (tmp_path / "m3hl").symlink_to(ROOT / "m3hl")
    done = make_workspace(tmp_path).snakemake("--use-singularity", "--dry-run")
    assert done.returncode == 1
    assert "the image is not built yet; run make image first" in done.stdout


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_of_the_project_can_be_planned(tmp_path, name):
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "workflow" / "Snakefile", "--dry-run"]
    done = subprocess.run(
        [*command, "--cores", "1", "--configfile", ROOT / "config" / name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "report" in done.stdout + done.stderr


def test_a_key_that_stands_there_twice(workspace, study):
    command = workspace.command(study, "--dry-run")
    with (workspace.folder / "study.yaml").open("a") as file:
        file.write("name: other\n")
    done = subprocess.run(
        command, cwd=workspace.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 1
    assert "study.yaml: this is not valid YAML (the key name stands there twice)" in done.stdout
