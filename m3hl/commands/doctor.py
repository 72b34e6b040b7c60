"""`m3hl doctor`: what this machine has, what is missing, and what to do about it."""

import sys

import click

from m3hl.doctor import examine


@click.command()
def command() -> None:
    """Check Python, libraries, GPU, containers, cluster, memory and disk; exit with 1 if something is needed."""
    findings = examine()
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        advice = f"  → {finding.advice}" if finding.advice else ""
        click.echo(f"{finding.mark} {finding.what:<{width}}  {finding.found}{advice}")
    sys.exit(int(any(finding.needed for finding in findings)))
