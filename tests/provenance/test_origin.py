"""Who made a result, on the host and in a container."""

import subprocess

import pytest

from m3hl import __version__
from m3hl.provenance import origin as provenance
from m3hl.provenance.origin import Stopwatch, commit, commit_name, container, origin

CONTAINER = {"APPTAINER_CONTAINER": "/x/m3hl.sif", "M3HL_IMAGE": "ab12", "M3HL_COMMIT": "c0ffee"}


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets what a container's environment says, where there is no git."""

    def set_to(**values):
        for name in (*CONTAINER, "SINGULARITY_CONTAINER"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

        def no_git(*_):
            raise FileNotFoundError

        monkeypatch.setattr(provenance, "git", no_git)

    return set_to


def test_on_the_host_there_is_no_container(environment):
    environment()
    assert container() == {"container": None, "image_sha256": None, "package": None}
    assert f"m3hl {__version__}" in origin()
    assert "package of" not in origin()


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("/opt/m3hl/lib/m3hl/provenance/origin.py", "image"),
        ("/opt/working-copy/m3hl/provenance/origin.py", "working copy"),
    ],
)
def test_in_a_container_image_and_package_are_told(environment, monkeypatch, file, package):
    environment(**CONTAINER)
    monkeypatch.setattr(provenance, "__file__", file)
    found = {"container": "/x/m3hl.sif", "image_sha256": "ab12", "package": package}
    assert container() == found
    assert Stopwatch().record().items() >= found.items()
    assert f"commit c0ffee, in /x/m3hl.sif ab12, package of the {package}, /" in origin()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("c0ffee", {"commit": "c0ffee", "dirty": False}),
        ("c0ffee-dirty", {"commit": "c0ffee", "dirty": True}),
        ("", {"commit": None, "dirty": None}),
        ("unknown", {"commit": None, "dirty": None}),
    ],
)
def test_without_git_the_image_tells_the_commit(environment, told, expected):
    environment(M3HL_COMMIT=told)
    assert commit() == expected


@pytest.mark.parametrize("told", ["c0ffee", "c0ffee-dirty", ""])
def test_the_commit_can_be_handed_on(environment, told):
    environment(M3HL_COMMIT=told)
    assert commit_name() == told


def test_with_git_the_commit_is_that_of_the_source(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    package = tmp_path / "m3hl"
    package.mkdir()
    source = package / "provenance.py"
    source.write_text("1")
    git("init")
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-m", "x")
    monkeypatch.setattr(provenance, "__file__", str(source))
    clean = commit()
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    source.write_text("2")
    assert commit() == clean | {"dirty": True}
