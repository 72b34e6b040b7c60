"""`m3hl run`: the whole pipeline on a configuration."""

import sys
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(config: Path, arguments: tuple[str, ...]) -> None:
    """Run the pipeline on CONFIG: Snakemake with this project's workflow, on all cores, in the working directory.

    ARGUMENTS are Snakemake's: m3hl run study.yaml --dry-run
    """
    from m3hl.config.experiment import load_config
    from m3hl.orchestration.snakemake import run

    code = run(config, arguments)
    if code == 0 and (page := Path("results", load_config(config).name, "report.html")).is_file():
        click.echo(f"Open {page}")
    sys.exit(code)
