"""Every stage in the real image: it runs there and nowhere else, and gives the bits that the host gives."""

import json
import os
import shutil
import subprocess

import pytest

from m3hl.errors import UserError
from m3hl.files import sha256_file
from m3hl.image import WORKING_COPY, container_settings, describe_image

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
    try:
        container_settings(path, "", [])
    except UserError as error:
        pytest.skip(str(error))
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
    done = workspace.snakemake("--use-singularity", environment={"HOME": str(home), "PYTHONPATH": "/nowhere"})
    assert done.returncode == 0, done.stdout
    # What Apptainer and Snakemake themselves keep, outside of the container.
    assert {path.name for path in home.iterdir()} <= {".apptainer", ".cache"}
    return workspace


@pytest.fixture
def inside(image):
    """Return a function that runs a command in the image as Snakemake does, and returns what it prints."""

    def run(*command, options=(), prefix=(), arguments=""):
        settings = container_settings(image, arguments, [])
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


def test_the_host_does_not_leak_in(inside, monkeypatch):
    monkeypatch.setenv("SECRET", "of the host")
    monkeypatch.setenv("PYTHONPATH", "/host")
    lines = inside("sh", "-c", "env; python -c 'import m3hl; print(m3hl.__file__)'").splitlines()
    assert not [line for line in lines if "of the host" in line or "/host" in line]
    assert "PYTHONNOUSERSITE=1" in lines
    assert lines[-1].startswith("/opt/m3hl/lib/")


def test_a_mounted_working_copy_goes_before_the_package_in_the_image(inside, root):
    where = inside("python", "-c", "import m3hl; print(m3hl.__file__)", arguments=f"--bind {root}:{WORKING_COPY}")
    assert where.strip() == f"{WORKING_COPY}/m3hl/__init__.py"


def test_it_runs_without_a_gpu_though_one_is_asked_for(inside):
    assert "GPU" in inside("m3hl", "doctor", options=["--nv"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_another_user_can_run_it(inside, tmp_path_factory):
    assert inside("m3hl", "--version", prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
                  options=["--no-home", "--pwd", "/tmp"]).startswith("m3hl, version")  # fmt: skip


def test_labels_tell_what_is_in_it(image):
    facts = describe_image(image)
    assert {"version", "commit", "environment", "package", "torch", "cuda"} <= facts.keys()
