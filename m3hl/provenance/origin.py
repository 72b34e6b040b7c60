"""Who made a result: code, versions, machine, time and memory."""

import os
import platform
import re
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from m3hl import __version__

LIBRARIES = ("torch", "numpy", "scipy", "h5py", "SimpleITK")
WORKING_COPY = "/opt/working-copy"
"""Where in the image a mounted working copy is used instead of the image's own package."""
ORIGIN = re.compile(r"\d{4}-\d\d-\d\dT\S+ m3hl \d")
"""How the line of `origin` begins."""


class Stopwatch:
    """Collects what a stage's result says about its making; start it before the work."""

    def __init__(self) -> None:
        self.started, self._start = datetime.now(UTC), time.monotonic()

    def record(self, **more: Any) -> dict[str, Any]:
        """Return code, versions, machine, duration (seconds) and peak memory (MiB), and `more`."""
        return {
            "m3hl": __version__,
            **commit(),
            "python": platform.python_version(),
            **{name: installed(name) for name in LIBRARIES},
            "host": platform.node(),
            "cpu": processor(),
            **container(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._start, 2),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            **more,
        }


def container() -> dict[str, str | None]:
    """Return the image that this process runs in, its digest, and whose package runs."""
    path = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    package = None
    if path:
        package = "working copy" if Path(__file__).is_relative_to(WORKING_COPY) else "image"
    return {"container": path, "image_sha256": os.environ.get("M3HL_IMAGE"), "package": package}


def origin() -> str:
    """Return one line that says which program runs where."""
    head, where = commit(), container()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    changes = " with uncommitted changes" if head["dirty"] else ""
    parts = [f"{now} m3hl {__version__}", f"commit {head['commit']}{changes}"]
    if where["container"]:
        parts += [f"in {where['container']} {where['image_sha256']}", f"package of the {where['package']}"]
    return ", ".join([*parts, f"{sys.executable} {platform.python_version()}"])


def commit() -> dict[str, Any]:
    """Return the git commit of the running source, and whether it had uncommitted changes."""
    source = Path(__file__).resolve().parents[1]
    try:
        head = git(source, "rev-parse", "HEAD")
        return {"commit": head, "dirty": bool(git(source, "status", "--porcelain", "--", str(source)))}
    except (OSError, subprocess.SubprocessError):
        # In a container there is no git; the image, or who mounted a working copy, tells.
        name, _, dirty = os.environ.get("M3HL_COMMIT", "").partition("-")
        known = name not in ("", "unknown")
        return {"commit": name if known else None, "dirty": bool(dirty) if known else None}


def commit_name() -> str:
    """Return the commit as M3HL_COMMIT tells it where there is no git; empty where it is not known."""
    here = commit()
    return f"{here['commit'] or ''}{'-dirty' if here['dirty'] else ''}"


def git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints in `folder`."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def installed(name: str) -> str | None:
    """Return the version of an installed library, None if it is absent."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """Return the processor's name and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
