"""What the workflow learns of an image, with a program in Apptainer's place; tests/workflow has the real one."""

import json
import os
import stat

import pytest

from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.orchestration import image as module
from m3hl.orchestration.image import PASSED_ON, WORKING_COPY, container_settings, describe_image, environment
from m3hl.provenance.fingerprint import ROOT, package_digest

LABELS = {"environment": "e" * 64, "package": package_digest(), "torch": "2.13.0"}


@pytest.fixture
def sif(tmp_path, monkeypatch):
    """Return an image that `apptainer inspect` knows by its labels, in an empty working directory."""
    path, labels, calls = tmp_path / "m3hl.sif", tmp_path / "labels.json", tmp_path / "calls"
    path.write_bytes(b"an image")
    labels.write_text(json.dumps({"data": {"attributes": {"labels": LABELS}}, "type": "container"}))
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\ncat "{labels}"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    for name in ("APPTAINER_BIND", *PASSED_ON):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return path


def label(sif, **labels):
    """Give an image other labels."""
    value = {"data": {"attributes": {"labels": labels}}, "type": "container"}
    (sif.parent / "labels.json").write_text(json.dumps(value))


def calls(sif):
    return (sif.parent / "calls").read_text().splitlines()


def test_labels_and_digest_are_told(sif):
    facts = describe_image(sif)
    assert facts.items() >= LABELS.items()
    assert facts["sha256"] == sha256_file(sif)
    assert calls(sif) == [f"inspect --json --labels {sif}"]


def test_an_image_is_read_again_only_when_it_has_changed(sif):
    first = describe_image(sif)
    label(sif, environment="f" * 64, package="other")
    assert describe_image(sif) == first
    sif.write_bytes(b"another image")
    second = describe_image(sif)
    assert (second["environment"], second["sha256"]) == ("f" * 64, sha256_file(sif))
    assert len(calls(sif)) == 2


def test_a_missing_image_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"m3hl\.sif: the image is not built yet; run make image first"):
        describe_image(tmp_path / "m3hl.sif")


def test_an_image_of_something_else_is_refused(sif):
    label(sif, package="x")
    with pytest.raises(UserError, match="this image does not tell its environment; run make image"):
        describe_image(sif)
    (sif.parent / "labels.json").write_text("FATAL: no such thing")
    with pytest.raises(UserError, match="cannot read this image"):
        describe_image(sif)


def test_without_apptainer_one_line_says_so(sif, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="neither apptainer nor singularity is installed"):
        describe_image(sif)


def test_nothing_of_the_host_comes_in_but_what_stages_need(sif, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    monkeypatch.setenv("PYTHONPATH", "/host")
    assert container_settings(sif, describe_image(sif), "--nv", []) == {
        "APPTAINER_CLEANENV": "1",
        "APPTAINER_BIND": "",
        "APPTAINERENV_M3HL_IMAGE": sha256_file(sif),
        "APPTAINERENV_CUDA_VISIBLE_DEVICES": "2",
    }


def test_folders_outside_the_working_directory_are_bound_under_all_their_names(sif, tmp_path, monkeypatch):
    for folder in ("work/inside", "data", "disk/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "work" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "scratch").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("APPTAINER_BIND", "/mine")

    def binds(*names):
        return container_settings(sif, describe_image(sif), "", [tmp_path / name for name in names])[
            "APPTAINER_BIND"
        ].split(",")

    data, disk, deep = (tmp_path / name for name in ("data", "disk", "disk/deep"))
    assert binds("work/inside", "none") == ["/mine"]
    assert binds("data", "data") == ["/mine", f"{data}:{data}"]
    assert binds("work/link") == ["/mine", f"{disk}:{disk}"]
    assert binds("scratch/deep") == ["/mine", f"{deep}:{tmp_path}/scratch/deep", f"{deep}:{deep}"]
    monkeypatch.setenv("APPTAINER_BIND", f"/mine,{data}:{data}")
    assert binds("data") == ["/mine", f"{data}:{data}"]


def test_a_folder_whose_name_cannot_be_bound_is_refused(sif, tmp_path):
    (tmp_path / "a,b").mkdir()
    with pytest.raises(UserError, match=r"a,b: a comma or colon in a path cannot go into a container; rename it"):
        container_settings(sif, describe_image(sif), "", [tmp_path / "a,b"])


def test_an_image_in_a_folder_of_somebody_elses_can_be_used(sif, monkeypatch):
    def refuse(path, _):
        raise UserError(f"{path}: cannot write into this folder")

    monkeypatch.setattr(module, "write_json", refuse)
    assert describe_image(sif)["sha256"] == sha256_file(sif)


def test_an_image_with_another_package_is_refused_unless_a_working_copy_is_mounted(sif):
    label(sif, **LABELS | {"package": "of last week"})
    with pytest.raises(UserError, match=r"another version .* make image, or .*--bind .*:/opt/working-copy"):
        container_settings(sif, describe_image(sif), "", [])
    values = container_settings(sif, describe_image(sif), f"--nv --bind {ROOT.parent}:{WORKING_COPY}", [])
    assert values["APPTAINERENV_M3HL_COMMIT"]
    with pytest.raises(UserError, match=r"/somewhere: this is mounted as the working copy, but the workflow is"):
        container_settings(sif, describe_image(sif), f"--bind /somewhere:{WORKING_COPY}", [])


def test_the_environment_is_that_of_the_required_packages(monkeypatch):
    required = ["torch>=2.6,<3", "numpy", 'pytest>=8; extra == "dev"']
    monkeypatch.setattr(module, "requires", lambda _: required)
    versions = {"torch": "2.13.0", "numpy": "2.4.6"}
    monkeypatch.setattr(module, "version", versions.__getitem__)
    before = environment()
    required.reverse()
    versions["torch"] = "2.13.0+cpu"
    assert environment() == before
    versions["numpy"] = "2.4.7"
    assert environment() != before
