"""Snakemake with this project's workflow: that of the clone, or the one that an installed package holds."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from m3hl.errors import UserError
from m3hl.provenance.fingerprint import ROOT

INSTALLED = "m3hl_workflow"
"""The folder beside the package into which a wheel puts `workflow` and `config` (setup.py)."""


def project() -> Path:
    """Return the folder that holds `workflow` and `config`; raises `UserError` where there is none."""
    for folder in (ROOT.parent, ROOT.parent / INSTALLED):
        if (folder / "workflow" / "Snakefile").is_file():
            return folder
    raise UserError(f"{ROOT.parent}: the workflow is not here; install m3hl from its wheel, or use a clone")


def command(config: Path | None, arguments: Iterable[str]) -> list[str]:
    """Return the call of Snakemake on a configuration (None: the demo); further arguments go before ours.

    Raises:
        UserError: Snakemake is not installed, or there is no workflow.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise UserError("snakemake is not installed; pip install 'm3hl[workflow]'")
    arguments, folder = list(arguments), project()
    # An executor on a cluster has its own number of jobs.
    counted = any(word.split("=")[0] in ("-c", "--cores", "-j", "--jobs") for word in arguments)
    elsewhere = any("profile" in word for word in arguments)
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(folder / "workflow" / "Snakefile")),
        *([] if counted or elsewhere else ["--cores", "all"]),
        *(["--configfile", str(config)] if config else []),
        *arguments,
    ]


def run(config: Path | None, arguments: Iterable[str]) -> int:
    """Run Snakemake in the working directory and return its exit code."""
    if config and not config.is_file():
        raise UserError(f"{config}: there is no such configuration")
    return subprocess.run(command(config, arguments), check=False).returncode
