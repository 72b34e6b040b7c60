"""Why each job would run: Snakemake's plan, with the names of what changed since the recorded result."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3hl.config.experiment import load_config
from m3hl.errors import UserError
from m3hl.files.reading import read_json
from m3hl.provenance.fingerprint import sources
from m3hl.provenance.records import RECORDS
from m3hl.provenance.stages import modules

JOB = re.compile(r"^ *(?:local)?rule (\w+):\n((?: {4,}.*\n)+)(?: *Shell command: (.*))?", re.MULTILINE)
FIELD = re.compile(r"^ {4,}(\w[\w ]*): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A job of the plan.

    Attributes:
        rule: its rule's name.
        outputs: the files that it makes.
        wildcards: as Snakemake prints them.
        reason: Snakemake's own.
        command: the shell command.
    """

    rule: str
    outputs: tuple[str, ...]
    wildcards: dict[str, str]
    reason: str
    command: str

    @property
    def name(self) -> str:
        """The rule, and which data set or run it is for."""
        named = {"labeled": "{} labeled", "seed": "seed {}"}
        parts = [named.get(key, "{}").format(value) for key, value in self.wildcards.items()]
        return " · ".join([self.rule, *parts])


def plan(arguments: tuple[str, ...]) -> list[Job]:
    """Return the jobs that `snakemake ARGUMENTS` would run; raises `UserError` with its words where it fails."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--dry-run", "--printshellcmds"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        said = [line for line in lines if not line.startswith((" ", "[", "Using ", "Full ", "Traceback"))]
        raise UserError(f"snakemake cannot plan this: {' '.join(said[-1:])}; snakemake --dry-run says more")
    return [job(*found) for found in JOB.findall(done.stdout)]


def job(rule: str, fields: str, command: str) -> Job:
    """Return a job as it stands in the output of a dry run."""
    values = dict(FIELD.findall(fields))
    pairs = (pair.split("=", 1) for pair in values.get("wildcards", "").split(", ") if pair)
    return Job(
        rule, tuple(values.get("output", "").split(", ")), dict(pairs), values.get("reason", "").strip(), command
    )


def reasons(jobs: list[Job]) -> Iterator[tuple[str, str]]:
    """Yield name and reason of each job but the last, which only collects."""
    makers = {output: job.rule for job in jobs for output in job.outputs}
    for each in jobs:
        if each.rule != "all":
            yield (
                each.name,
                "; ".join(
                    dict.fromkeys(
                        part for clause in each.reason.split("; ") for part in said(clause, each, makers)
                    )
                ),
            )


def said(clause: str, job: Job, makers: dict[str, str]) -> Iterator[str]:
    """Yield one of Snakemake's reasons in a user's words."""
    kind, _, detail = clause.partition(": ")
    files = [file for file in detail.split(", ") if file]
    if kind == "Missing output files":
        yield f"not there yet: {', '.join(sorted(Path(file).name for file in files))}"
    elif kind == "Input files updated by another job":
        yield f"after {', '.join(sorted({makers.get(file, file) for file in files}))}"
    elif kind == "Updated input files":
        # Of copied results only the times tell that something else has changed.
        yield from changes(job) or [f"changed: {few(files)}"] * bool(files)
    elif kind == "Params have changed since last execution":
        yield from changes(job) or [
            "the environment (image, Python, libraries), launcher or working folder changed"
        ]
    else:
        yield clause


def few(files: list[str]) -> str:
    """Return the names of files, the first three of many."""
    return ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")


def changes(job: Job) -> list[str]:
    """Return which source files and keys of the configuration differ from those of the recorded result."""
    record = next((Path(path) for path in job.outputs if Path(path).match(RECORDS[job.rule])), None)
    if record is None or not record.is_file():
        return []
    values = read_json(record, "record")
    before = values.get("seal", {}) if isinstance(values, dict) else {}
    words = shlex.split(job.command)
    config = load_config(words[words.index("--config") + 1])
    used = modules(config, job.rule, job.wildcards.get("dataset"), job.wildcards.get("method"))
    now = config.model_dump(mode="json", exclude_defaults=True)
    # The name says only where results lie.
    now["name"] = before.get("config", {}).get("name")
    files, keys = differing(before.get("sources", {}), sources(used)), differing(before.get("config", {}), now)
    return [f"{', '.join(files)} changed"] * bool(files) + [f"config {', '.join(keys)} changed"] * bool(keys)


def differing(before: Any, now: Any, path: str = "") -> list[str]:
    """Return the dotted paths at which two nested values differ."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [path]
    parts = (
        differing(before.get(key), now.get(key), f"{path}.{key}" if path else key)
        for key in sorted({*before, *now})
    )
    return [found for part in parts for found in part]
