"""What an edit of the source runs again, and the reason that is told: on a copy of a finished study."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
import SimpleITK as sitk

pytestmark = pytest.mark.slow
EDIT = "\nEDITED = 1\n"


@pytest.fixture(scope="module")
def copied(finished, make_workspace, root, tmp_path_factory):
    """Return the finished study in another folder, run by a copy of the project."""
    project, folder = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("copy")
    for name in ("m3hl", "workflow"):
        shutil.copytree(root / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(finished.folder, folder, dirs_exist_ok=True)
    return make_workspace(project, folder)


@pytest.fixture
def edit(copied):
    """Return a function that puts text at the end of a source file; it is taken back at the end."""
    kept = {}

    def append(name, text=EDIT):
        file = copied.project / "m3hl" / name
        kept[file] = file.read_text()
        file.write_text(kept[file] + text)

    yield append
    for file, text in kept.items():
        file.write_text(text)


@pytest.fixture
def explain(copied, tiny_study):
    """Return a function that gives the lines of `m3hl explain` for the copied study."""

    def run(study=tiny_study, workspace=copied):
        arguments = workspace.command(study)[3:]
        done = subprocess.run(
            [sys.executable, "-m", "m3hl", "explain", *map(str, arguments)],
            cwd=workspace.folder,
            env=os.environ | {"PYTHONPATH": str(workspace.project)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    return run


def counted(lines):
    """Return how many jobs each rule has, and the reasons of those that do not only follow others."""
    jobs = [line.split(": ", 1) for line in lines if ": " in line and not line.startswith("nothing")]
    reasons = {reason for _, reason in jobs if not reason.startswith("after ")}
    return dict(Counter(re.split(r" · |$", name)[0] for name, _ in jobs)), reasons


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("reporting/tables.py", {"report": 1}),
        ("evaluation/metrics.py", {"evaluate": 4, "report": 1}),
        ("methods/m3hl.py", {"train": 2, "evaluate": 2, "report": 1}),
        ("methods/supervised.py", {"train": 2, "evaluate": 2, "report": 1}),
        ("nets/unet.py", {"train": 2, "evaluate": 2, "report": 1}),
        ("data/phantom/la.py", {"download": 1, "preprocess": 1, "train": 2, "evaluate": 2, "report": 1}),
        ("data/preprocess.py", {"preprocess": 2, "train": 4, "evaluate": 4, "report": 1}),
    ],
)
def test_an_edited_file_is_the_reason(edit, explain, name, jobs):
    edit(name)
    assert counted(explain()) == (jobs, {f"{name} changed"})


def test_comments_and_white_space_run_nothing(edit, explain, copied):
    for file in (copied.project / "m3hl").rglob("*.py"):
        edit(file.relative_to(copied.project / "m3hl"), "\n\n# A comment.\n")
    assert explain() == ["nothing would run: everything is up to date"]


def test_files_that_are_only_touched_run_nothing(explain, copied):
    for file in [*copied.results.rglob("*"), *copied.project.rglob("*")]:
        if file.is_file() and "logs" not in file.parts:
            file.touch()
    assert explain() == ["nothing would run: everything is up to date"]


def test_a_touched_store_of_any_size_runs_nothing(copied):
    (copied.results / "data" / "hearts.h5").touch()
    assert copied.planned("--max-checksum-file-size", "1") == {}


def test_the_key_that_changed_is_the_reason(explain, study):
    study["datasets"]["hearts"]["training"]["iterations"] = 6
    jobs, reasons = counted(explain(study))
    assert jobs == {"train": 2, "evaluate": 2, "report": 1}
    assert reasons == {"config datasets.hearts.training.iterations changed"}


@pytest.fixture
def elsewhere(copied, make_workspace, tmp_path):
    """Return the results copied without their times, the newest stage first, where Snakemake remembers nothing."""
    results = tmp_path / "results" / "tiny"
    files = sorted((path for path in copied.results.rglob("*") if path.is_file()), reverse=True)
    for number, path in enumerate(files):
        copy = results / path.relative_to(copied.results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        os.utime(copy, (1_000_000_000 + number,) * 2)
    return make_workspace(copied.project, tmp_path)


def test_a_renamed_study_runs_nothing(elsewhere, study):
    study["name"] = "renamed"
    elsewhere.results.rename(elsewhere.results.with_name("renamed"))
    assert elsewhere.planned(study=study) == {}


def test_results_of_another_machine_count_as_made(elsewhere):
    assert elsewhere.planned() == {}


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("evaluation/metrics.py", {"evaluate": 4, "report": 1}),
        ("nets/unet.py", {"train": 2, "evaluate": 2, "report": 1}),
    ],
)
def test_results_of_other_source_than_this_are_made_again(elsewhere, edit, explain, name, jobs):
    edit(name)
    assert elsewhere.planned() == jobs
    assert counted(explain(workspace=elsewhere)) == (jobs, {f"{name} changed"})


def test_a_copied_result_that_was_edited_is_made_again(elsewhere):
    with next(elsewhere.results.rglob("best.pt")).open("ab") as file:
        file.write(b"x")
    assert elsewhere.planned() == {"train": 1, "evaluate": 1, "report": 1}


def test_a_key_that_differs_from_the_copied_results_is_noticed(elsewhere, study):
    study["datasets"]["hearts"]["training"]["iterations"] = 6
    assert elsewhere.planned(study=study) == {"train": 2, "evaluate": 2, "report": 1}


def test_phantoms_that_differ_from_the_copied_ones_are_made_again(elsewhere, study):
    study["datasets"]["hearts"]["phantom"]["seed"] = 1
    expected = {"download": 1, "preprocess": 1, "train": 2, "evaluate": 2, "report": 1}
    assert elsewhere.planned(study=study) == expected


def test_a_run_copied_to_the_place_of_another_is_made_again(elsewhere, study):
    run = elsewhere.results / "runs" / "hearts" / "m3hl" / "labeled-1" / "seed-1"
    shutil.copytree(run, run.with_name("seed-2"))
    study["experiments"].append({"dataset": ["hearts"], "method": ["m3hl"], "labeled": [1], "seed": [2]})
    assert elsewhere.planned(study=study) == {"train": 1, "evaluate": 1, "report": 1}


def test_metrics_that_were_edited_are_made_again_and_fit(edit, explain, copied):
    edit("evaluation/metrics.py")
    done = copied.snakemake()
    assert done.returncode == 0, done.stdout
    assert explain() == ["nothing would run: everything is up to date"]
    checked = subprocess.run(
        [sys.executable, "-m", "m3hl", "verify", copied.results],
        # Python looks for the package in the working directory first.
        cwd=copied.folder,
        env=os.environ | {"PYTHONPATH": str(copied.project)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    assert len(checked.stdout.splitlines()) == 1


@pytest.fixture
def own(study, finished, workspace):
    """Return a study of own scans beside a phantom, and one of the scans; its data are preprocessed."""
    scans = workspace.folder / "scans"
    raw = finished.results / "data" / "hearts"
    rows = ["case,image,label,split"]
    for number, image in enumerate(sorted(raw.rglob("*_frame0[1-9].nii.gz"))):
        scans.mkdir(exist_ok=True)
        shutil.copyfile(image, scans / f"{number}.nii.gz")
        shutil.copyfile(image.with_name(image.name.replace(".nii", "_gt.nii")), scans / f"{number}_gt.nii.gz")
        split = "test" if number == 0 else "val" if number == 1 else "train"
        rows.append(f"{number},scans/{number}.nii.gz,scans/{number}_gt.nii.gz,{split}")
    (workspace.folder / "cases.csv").write_text("\n".join(rows))
    study["datasets"]["mine"] = study["datasets"]["hearts"] | {
        "kind": "custom",
        "source": "folder",
        "path": "cases.csv",
        "dimensions": 2,
        "classes": ["RV", "Myo", "LV"],
    }
    del study["datasets"]["mine"]["phantom"]
    study["experiments"] = [{"dataset": ["mine", "hearts"], "method": ["m3hl"], "labeled": [1], "seed": [1]}]
    done = workspace.snakemake("--until", "preprocess", study=study)
    assert done.returncode == 0, done.stdout
    return study, scans / "2.nii.gz"


def test_a_scan_that_changed_runs_its_own_data_set_again(own, workspace):
    study, scan = own
    scan.touch()
    assert workspace.planned("--until", "preprocess", "--max-checksum-file-size", "1", study=study) == {}
    sitk.WriteImage(sitk.ReadImage(str(scan)) + 1, str(scan))
    assert workspace.planned("--until", "preprocess", study=study) == {"download": 1, "preprocess": 1}
    assert set(workspace.planned(study=study)) == {"download", "preprocess", "train", "evaluate", "report"}
