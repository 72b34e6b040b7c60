"""`m3hl demo`: the whole pipeline on synthetic images."""

import sys

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the pipeline on synthetic images, in some minutes; open results/demo/report.html.

    ARGUMENTS are Snakemake's: m3hl demo --dry-run
    """
    from m3hl.orchestration.snakemake import run

    sys.exit(run(None, arguments))
