"""`m3hl doctor`: what this machine has, what is missing, and what to do about it."""

import json
import sys
from dataclasses import asdict

import click

from m3hl import options


@click.command()
@click.option(
    "--config",
    help="The configuration whose data are looked for.  [default: config/config.yaml and config/paper.yaml]",
    shell_complete=options.file_names,
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding and line.")
def command(config: str | None, as_json: bool) -> None:
    """Check Python, libraries, GPU, containers, cluster, memory, disk and data; nothing is changed.

    ✓ is there, ○ is missing and not needed, ✗ is missing and needed: then the exit code is 1.
    """
    from m3hl.doctor import examine

    findings = examine(config)
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        advice = f"  → {finding.advice}" if finding.advice else ""
        line = f"{finding.mark} {finding.what:<{width}}  {finding.found}{advice}"
        click.echo(json.dumps(asdict(finding), ensure_ascii=False) if as_json else line)
    sys.exit(int(any(finding.needed for finding in findings)))
