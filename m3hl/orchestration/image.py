"""The container image: what it holds, told inside at its building and read outside by the workflow.

`python -m m3hl.orchestration.image` prints the labels `version`, `environment` (digest of the packages' versions),
`package` (digest of this package), `torch` and `cuda`.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import requires, version
from pathlib import Path

from m3hl import __version__
from m3hl.errors import UserError
from m3hl.files.atomic import write_json
from m3hl.files.digests import sha256_file
from m3hl.files.reading import read_json
from m3hl.provenance.fingerprint import ROOT, package_digest
from m3hl.provenance.origin import WORKING_COPY, commit_name

PASSED_ON = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "SLURM_JOB_ID")
"""What of the host's environment the stages need; all else stays outside."""


def main() -> None:
    """Print what this environment holds as labels, one per line."""
    import torch

    print("version", __version__)
    print("environment", environment())
    print("package", package_digest())
    print("torch", torch.__version__)
    print("cuda", torch.version.cuda or "none")


def environment() -> str:
    """Return a digest of the versions of Python and of the packages that this one requires.

    Patch levels of Python and builds of a version (CPU, CUDA) do not count: on the host and in an image of the
    same pinned packages the digest is the same.
    """
    names = [re.match(r"[\w.-]+", text)[0] for text in requires("m3hl") or [] if "extra ==" not in text]
    versions = sorted(f"{name.lower()}=={version(name).partition('+')[0]}" for name in names)
    python = "{}.{}".format(*platform.python_version_tuple())
    return hashlib.sha256("\n".join([python, *versions]).encode()).hexdigest()


def describe_image(image: Path) -> dict[str, str]:
    """Return an image's labels, and the digest of its file as `sha256`; both are kept in a file beside it.

    Raises:
        UserError: the image is missing, or was not built by this project.
    """
    if not image.is_file():
        raise UserError(f"{image}: the image is not built yet; run make image first")
    stamp = f"{image.stat().st_size} bytes, changed {image.stat().st_mtime_ns}"
    kept = image.with_name(f"{image.name}.json")
    if kept.is_file() and (facts := read_json(kept, "description of the image")).get("file") == stamp:
        return facts
    facts = labels(image)
    if missing := {"environment", "package"} - facts.keys():
        raise UserError(f"{image}: this image does not tell its {' and '.join(sorted(missing))}; run make image")
    facts |= {"file": stamp, "sha256": sha256_file(image)}
    with contextlib.suppress(UserError):  # an image of somebody else's: read again each time
        write_json(kept, facts)
    return facts


def labels(image: Path) -> dict[str, str]:
    """Return the labels of an image."""
    command = [program(), "inspect", "--json", "--labels", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["data"]["attributes"]["labels"]
    except (json.JSONDecodeError, LookupError, TypeError) as error:
        problem = (done.stderr.strip().splitlines() or ["it has no labels"])[-1]
        raise UserError(f"{image}: cannot read this image ({problem}); run make image") from error


def program() -> str:
    """Return the container program that Snakemake will call; raises `UserError` where there is none."""
    name = next((name for name in ("apptainer", "singularity") if shutil.which(name)), None)
    if name is None:
        raise UserError("neither apptainer nor singularity is installed, and --use-singularity needs one of them")
    return name


def container_settings(
    image: Path, facts: dict[str, str], arguments: str, folders: Iterable[Path]
) -> dict[str, str]:
    """Return the environment variables that make the container program run stages as they shall run.

    Nothing of the host's environment comes in but `PASSED_ON`; folders outside the working directory are bound.

    Args:
        image: the image.
        facts: what `describe_image` tells of it.
        arguments: what the user hands to the container program (--apptainer-args).
        folders: where data are read from, or put.

    Raises:
        UserError: the image holds another package than this one, and no working copy is mounted in its place; or
            a folder has a name that cannot be bound.
    """
    name = program().upper()
    values = {"M3HL_IMAGE": facts["sha256"]} | {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    if mounted := re.search(rf"([^\s,=]+):{WORKING_COPY}\b", arguments):
        if Path(mounted[1]).resolve() != ROOT.parent:
            raise UserError(
                f"{mounted[1]}: this is mounted as the working copy, but the workflow is {ROOT.parent}"
            )
        values["M3HL_COMMIT"] = commit_name()
    elif facts["package"] != package_digest():
        raise UserError(
            f"{image}: the image holds another version of this package than {ROOT}; run make image, or use the "
            f'working copy in the image: --apptainer-args="--bind {ROOT.parent}:{WORKING_COPY}"'
        )
    # Jobs inherit what Snakemake's first process has set.
    binds = dict.fromkeys([*filter(None, os.environ.get(f"{name}_BIND", "").split(",")), *outside(folders)])
    return {f"{name}_CLEANENV": "1", f"{name}_BIND": ",".join(binds)} | {
        f"{name}ENV_{key}": value for key, value in values.items()
    }


def outside(folders: Iterable[Path]) -> list[str]:
    """Return the binds that make folders visible in a container, under their names and where links lead.

    Raises:
        UserError: a name holds a comma or a colon, which separate binds.
    """
    here, found = Path.cwd().resolve(), []
    for folder in folders:
        target = folder.resolve()
        for name in (Path(os.path.abspath(folder)), target):  # noqa: PTH100 (links stay)
            if not name.is_relative_to(here) and folder.exists():
                if set(f"{target}{name}") & set(",:"):
                    raise UserError(f"{folder}: a comma or colon in a path cannot go into a container; rename it")
                found.append(f"{target}:{name}")
    return found


if __name__ == "__main__":
    main()
