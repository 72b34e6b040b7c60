"""The files of a user's own that a study's methods and networks are in: whoever computes must see them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from m3hl.config import networks, outside
from m3hl.config.experiment import Config
from m3hl.errors import UserError
from m3hl.provenance.fingerprint import closure, source


def own_code(study: Config) -> list[Path]:
    """Return the files that the runs' methods are or name, and those beside them that these import."""
    used = [study.method(name) for name in {run.method for run in study.runs()}]
    named = {method.method for method in used} | {networks.place(m.network)[0] for m in used if m.network}
    modules = closure(outside.module_of(name) for name in named if outside.is_path(name))
    return sorted(source(name) for name in modules if name.startswith(outside.PREFIX))


def require_sent(files: Iterable[Path]) -> None:
    """Raise `UserError` where machines that share no files would not get one: Snakemake sends what git knows."""
    for file in files:
        done = subprocess.run(["git", "ls-files", "--error-unmatch", file], capture_output=True, check=False)
        if done.returncode:
            raise UserError(
                f"{file}: the pods would not get this file, because they get what git knows of the working "
                f"directory; git add {file}"
            )
