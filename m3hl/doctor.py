"""What a machine has for this pipeline."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from m3hl.provenance import installed, processor

NEEDED = ("torch", "h5py", "SimpleITK", "pandas", "numpy", "scipy", "pydantic")
LEAST_MEMORY, LEAST_DISK = 4, 5
"""GiB that the demo wants."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        found: what there is.
        advice: what to do, "" where all is well.
        needed: whether the pipeline cannot run without it.
    """

    what: str
    found: str
    advice: str = ""
    needed: bool = False

    @property
    def mark(self) -> str:
        """✓ fine, ○ missing but not needed, ✗ needed."""
        return "✗" if self.needed else "○" if self.advice else "✓"


def examine() -> list[Finding]:
    """Return what there is of everything the pipeline can use; nothing is changed."""
    return [python(), *libraries(), gpu(), *programs(), memory(), disk(), sources()]


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


def gpu() -> Finding:
    """Look for a GPU that torch can use."""
    if importlib.util.find_spec("torch") is None:
        return Finding("GPU", "unknown without torch")
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    if torch.version.cuda:
        return Finding(
            "GPU", f"none visible (torch is built for CUDA {torch.version.cuda})", "check nvidia-smi, or --nv"
        )
    return Finding("GPU", "this torch is a CPU build", "for GPUs, install the CUDA build of torch")


def programs() -> list[Finding]:
    """Look for the programs that containers and clusters need."""
    wanted = {
        "Apptainer": ("apptainer", "singularity", "needed for --use-singularity only: see apptainer.org"),
        "SLURM": ("sbatch", "sbatch", "needed on a cluster only"),
        "git": ("git", "git", "needed to name the commit in results"),
    }
    findings = []
    for name, (program, other, advice) in wanted.items():
        path = shutil.which(program) or shutil.which(other)
        findings.append(Finding(name, version_line(path)) if path else Finding(name, "not found", advice))
    return findings


def version_line(program: str) -> str:
    """Return the first line that a program prints about its version."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return f"{program} does not answer"
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def memory() -> Finding:
    """Look at the processor and the memory."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    advice = f"the demo wants {LEAST_MEMORY} GiB; use --cores 1" if gib < LEAST_MEMORY else ""
    return Finding("Memory", f"{gib:.0f} GiB, {processor()}", advice)


def disk() -> Finding:
    """Look at the free space where results would go."""
    gib = shutil.disk_usage(Path.cwd()).free / 2**30
    advice = f"the demo wants {LEAST_DISK} GiB; make room, or work elsewhere" if gib < LEAST_DISK else ""
    return Finding("Disk", f"{gib:.0f} GiB free here", advice)


def sources() -> Finding:
    """Look for the workflow that belongs to the package."""
    here = Path("workflow/Snakefile").is_file()
    return Finding(
        "Workflow",
        "workflow/Snakefile is here" if here else "not in this folder",
        "" if here else "change to a clone of the project, or give snakemake --snakefile",
    )
