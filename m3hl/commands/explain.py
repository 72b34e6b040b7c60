"""`m3hl explain`: why each job would run."""

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Say in one line per job why `snakemake ARGUMENTS` would run it; nothing is run.

    Example: m3hl explain --configfile config/paper.yaml
    """
    from m3hl.orchestration.explain import plan, reasons

    lines = list(reasons(plan(arguments)))
    for name, reason in lines:
        click.echo(f"{name}: {reason}")
    click.echo(
        f"{len(lines)} job{'s' * (len(lines) > 1)} would run"
        if lines
        else "nothing would run: everything is up to date"
    )
