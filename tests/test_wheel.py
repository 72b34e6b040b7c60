"""The wheel: built from the clone, installed in an environment of its own, it holds all that a study needs."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def do(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_installed_plans_a_study_with_a_method_of_ones_own(tmp_path):
    clone = tmp_path / "clone"
    for name in ("m3hl", "workflow", "config"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, clone / name)
    options = ("--no-deps", "--no-build-isolation", "--quiet")
    do(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", tmp_path, clone, cwd=tmp_path)
    (wheel,) = tmp_path.glob("m3hl-*.whl")
    do(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").glob("python*")) / "site-packages"
    # The libraries of this environment, but not its m3hl, which the .pth of an editable install would name.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    do(python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=tmp_path)
    assert (site / "m3hl" / "py.typed").is_file()
    work = tmp_path / "work"
    work.mkdir()
    command = python.with_name("m3hl")
    assert "Run the whole pipeline" in do(command, "--help", cwd=work)
    do(command, "new", "method", "my_method", cwd=work)
    page = (ROOT / "docs" / "own-method.md").read_text(encoding="utf-8")
    (work / "study.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    said = do(command, "run", "study.yaml", "--dry-run", cwd=work)
    assert f"{site}/m3hl_workflow/workflow/Snakefile" in said
    assert "train" in said
    assert "report" in do(command, "demo", "--dry-run", cwd=work)
