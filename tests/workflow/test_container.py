"""Every stage in the real image: it runs there and nowhere else, and gives the bits that the host gives."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from m3hl.files.digests import sha256_file
from m3hl.orchestration.image import WORKING_COPY, container_settings, describe_image
from m3hl.provenance.fingerprint import package_digest
from m3hl.provenance.origin import commit

pytestmark = pytest.mark.slow
RUN = "runs/{}/{}/labeled-1/seed-1"
STAGES = {
    "download": "logs/data/hearts.download.log",
    "preprocess": "logs/data/hearts.preprocess.log",
    "train": f"{RUN}/logs/train.log".format("hearts", "m3hl"),
    "evaluate": f"{RUN}/logs/evaluate.log".format("hearts", "m3hl"),
    "report": "logs/report.log",
}


@pytest.fixture(scope="session")
def image(root):
    """Return the image that `make image` has built of this working copy."""
    path = root / "containers" / "m3hl.sif"
    if not shutil.which("apptainer"):
        pytest.skip("apptainer is not installed")
    if not path.is_file():
        pytest.skip("the image is not built: make image")
    if describe_image(path)["package"] != package_digest():
        pytest.skip("the image holds another version of the package: make image")
    return path


@pytest.fixture(scope="session")
def project(image, root, tmp_path_factory):
    """Return a project with the image, of which a test may change what is told about it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(root / "workflow", folder / "workflow")
    (folder / "m3hl").symlink_to(root / "m3hl")
    (folder / "containers").mkdir()
    (folder / "containers" / "m3hl.sif").symlink_to(image)
    return folder


@pytest.fixture(scope="session")
def contained(project, make_workspace):
    """Return a workspace in which the tiny study has been run in the image; not to be changed."""
    workspace = make_workspace(project)
    home = workspace.folder / "home"
    home.mkdir()
    done = workspace.snakemake("--use-singularity", environment={"HOME": str(home)})
    assert done.returncode == 0, done.stdout
    # What Apptainer and Snakemake themselves keep, outside of the container.
    assert {path.name for path in home.iterdir()} <= {".apptainer", ".cache"}
    return workspace


@pytest.fixture
def inside(image):
    """Return a function that runs a command in the image as Snakemake does, and returns what it prints."""

    def run(*command, options=(), prefix=(), arguments=""):
        settings = container_settings(image, describe_image(image), arguments, [])
        done = subprocess.run(
            [*prefix, "apptainer", "--silent", "exec", *options, *arguments.split(), str(image), *command],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_ran_in_the_image(contained, project, image, stage):
    first = (contained.results / STAGES[stage]).read_text().partition("\n")[0]
    assert f"in {project}/containers/m3hl.sif {sha256_file(image)}, package of the image" in first
    assert "/opt/m3hl/bin/python" in first


def test_results_name_the_image(contained, image):
    for name in ("run.json", "evaluation.json"):
        record = json.loads((contained.results / RUN.format("atria", "m3hl") / name).read_text())
        found = {key: record["provenance"][key] for key in ("image_sha256", "package")}
        assert found == {"image_sha256": sha256_file(image), "package": "image"}
    assert sha256_file(image) in (contained.results / "report.html").read_text()


def test_host_and_container_give_the_same_bits(contained, finished):
    names = ["data/hearts.h5", "data/atria.h5"]
    for dataset in ("hearts", "atria"):
        for method in ("supervised", "m3hl"):
            names += [f"{RUN.format(dataset, method)}/{n}" for n in ("best.pt", "history.csv", "metrics.csv")]
    torch = {json.loads((w.results / RUN.format("hearts", "m3hl") / "run.json").read_text())["provenance"]["torch"]
             for w in (contained, finished)}  # fmt: skip
    if len(torch) > 1:
        pytest.skip(f"host and image have different builds of torch: {', '.join(sorted(torch))}")
    digests = [[sha256_file(workspace.results / name) for name in names] for workspace in (contained, finished)]
    assert digests[0] == digests[1]


def test_nothing_runs_a_second_time_and_all_runs_with_other_packages(contained, project, image):
    assert contained.planned("--use-singularity") == {}
    assert contained.planned("--sdm", "apptainer") == {}
    kept = project / "containers" / "m3hl.sif.json"
    facts = json.loads(kept.read_text())
    try:
        kept.write_text(json.dumps(facts | {"sha256": "0" * 64}))
        assert contained.planned("--use-singularity") == {}, "built again with the same content"
        kept.write_text(json.dumps(facts | {"environment": "0" * 64}))
        jobs = {"download": 2, "preprocess": 2, "train": 4, "evaluate": 4, "report": 1}
        assert contained.planned("--use-singularity") == jobs
    finally:
        kept.write_text(json.dumps(facts))


def test_the_image_holds_no_build_tools_and_no_cache(inside):
    found = "for name in gcc make pip git; do command -v $name; done; ls -A /root /opt /var/lib/apt/lists"
    assert inside("sh", "-c", found, options=["--no-home"]).split() == [
        "/opt:", "m3hl", "working-copy", "/root:", ".bashrc", ".profile", "/var/lib/apt/lists:",
    ]  # fmt: skip


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Make a host whose Python is spoilt in every way that its environment and home allow."""
    broken = tmp_path / "broken"
    home = tmp_path / "home" / ".local" / "lib" / "python3.11" / "site-packages"
    for folder in (broken, home):
        folder.mkdir(parents=True)
        (folder / "numpy.py").write_text("raise ImportError('the numpy of the host')")
    (broken / "start.py").write_text("raise SystemExit('the start-up of the host')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    monkeypatch.setenv("PYTHONSTARTUP", str(broken / "start.py"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SECRET", "of the host")
    return tmp_path


def test_the_host_does_not_leak_in(inside, hostile):
    lines = inside("sh", "-c", "env; python -c 'import numpy, m3hl; print(m3hl.__file__)'").splitlines()
    assert not [line for line in lines if "of the host" in line or str(hostile / "broken") in line]
    assert lines[-1].startswith("/opt/m3hl/lib/")


def test_a_mounted_working_copy_goes_before_the_package_in_the_image(inside, root):
    show = (
        "from m3hl.provenance.origin import commit, container; print(commit()['commit'], container()['package'])"
    )
    told = inside("python", "-c", show, arguments=f"--bind {root}:{WORKING_COPY}")
    assert told.strip() == f"{commit()['commit']} working copy"


def test_asking_for_a_gpu_does_no_harm_where_there_is_none(inside):
    show = "from m3hl.compute.device import choose_device; print(choose_device('auto', None))"
    assert inside("python", "-c", show, options=["--nv"]).strip() == (
        "cuda" if torch.cuda.is_available() else "cpu"
    )


ANOTHER_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@needs_root
def test_another_user_without_a_home_can_run_a_stage(inside, tiny_study):
    out = Path("/tmp") / f"m3hl-{os.getpid()}"
    out.mkdir()
    try:
        os.chown(out, 65534, 65534)
        arguments = ["--config", json.dumps(tiny_study), "--dataset", "hearts", "--out", str(out / "h.json")]
        inside(*["m3hl", "download", *arguments], prefix=ANOTHER_USER, options=["--no-home", "--pwd", "/tmp"])
        assert (out / "h.json").stat().st_uid == 65534
    finally:
        shutil.rmtree(out)


# It sleeps in naps: Python handles a signal that comes just before a sleep after it.
STAGE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (__import__("numpy"), sys.exit(3)))
print("ready", flush=True)
for _ in range(600):
    time.sleep(0.1)
"""
JOB = """
import subprocess, sys
from m3hl.orchestration.relay import pass_signals_on
pass_signals_on()
command = ["apptainer", "--silent", "exec", "--no-home", "--pwd", "/tmp", sys.argv[1]]
sys.exit(subprocess.call([*command, "bash", "-c", 'set -e; exec python -c "$0"', sys.argv[2]]))
"""


@needs_root
def test_a_signal_reaches_another_users_stage_whose_image_is_held_by_a_helper(image, root):
    # For anyone but root a process of Apptainer's own holds the image; it must live until the stage has ended.
    process = subprocess.Popen(
        [*ANOTHER_USER, "/usr/bin/python3", "-c", JOB, image, STAGE],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        cwd="/tmp",
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(60) == 3


def test_labels_tell_what_is_in_it(image):
    facts = describe_image(image)
    assert {"version", "commit", "environment", "package", "torch", "cuda"} <= facts.keys()
