"""Python, libraries, and the programs of containers and clusters."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from m3hl.doctor.finding import Finding
from m3hl.provenance.origin import installed

NEEDED = (
    "torch",
    "h5py",
    "SimpleITK",
    "pandas",
    "numpy",
    "scipy",
    "pydantic",
    "scikit-image",
    "matplotlib",
    "resvg-py",
)
IMAGE = Path("containers/m3hl.sif")


def python() -> Finding:
    """Look at the interpreter."""
    old = sys.version_info < (3, 11)
    return Finding("Python", platform.python_version(), "install Python 3.11 or newer" * old, needed=old)


def libraries() -> list[Finding]:
    """Look for the libraries that the stages import."""
    return [library(name, needed=True) for name in NEEDED] + [library("snakemake", needed=False)]


def library(name: str, *, needed: bool) -> Finding:
    """Look for one library; in the container there is no Snakemake, as it runs outside."""
    if found := installed(name):
        return Finding(name, found)
    return Finding(name, "not installed", "run make setup, or pip install -r containers/requirements.txt", needed)


def programs() -> list[Finding]:
    """Look for the programs that containers and clusters need, and for the partitions of a cluster."""
    wanted = {
        "Apptainer": ("apptainer", "singularity", "needed for --use-singularity only: see apptainer.org"),
        "SLURM": ("sbatch", "sbatch", "needed on a cluster only: --workflow-profile workflow/profiles/slurm"),
        "git": ("git", "git", "needed to name the commit in results"),
    }
    findings = []
    for name, (program, other, advice) in wanted.items():
        path = shutil.which(program) or shutil.which(other)
        findings.append(Finding(name, version_line(path)) if path else Finding(name, "not found", advice))
    return [*findings, *partitions()]


def partitions() -> list[Finding]:
    """Ask a cluster for its partitions; nothing where there is no SLURM."""
    program = shutil.which("sinfo")
    if program is None:
        return []
    said = answer(program, "--noheader", "--format=%P %G")
    if not said:
        return [Finding("Partitions", "sinfo does not answer", "start from a login node of the cluster")]
    names = [line.replace(" (null)", "") for line in dict.fromkeys(map(str.strip, said.splitlines()))]
    return [Finding("Partitions", f"{', '.join(names)} (name yours in a copy of workflow/profiles/slurm)")]


def image() -> Finding:
    """Look for the container's image."""
    if IMAGE.is_file():
        return Finding("Image", f"{IMAGE}, {IMAGE.stat().st_size / 2**30:.1f} GiB")
    return Finding("Image", f"{IMAGE} is not there", "needed for --use-singularity only: make image")


def version_line(program: str) -> str:
    """Return the first line that a program prints about its version."""
    return answer(program, "--version").partition("\n")[0] or f"{program} does not answer"


def answer(*command: str) -> str:
    """Return what a program prints, "" where it cannot be started or does not end."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip()


def workflow() -> Finding:
    """Look for the workflow that belongs to the package."""
    here = Path("workflow/Snakefile").is_file()
    return Finding(
        "Workflow",
        "workflow/Snakefile is here" if here else "not in this folder",
        "" if here else "change to a clone of the project, or give snakemake --snakefile",
    )
