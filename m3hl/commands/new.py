"""`m3hl new`: the files of a method to begin with."""

from pathlib import Path

import click

from m3hl.testing.skeleton import write_skeleton


@click.command()
@click.argument("what", type=click.Choice(["method"]))
@click.argument("name")
def command(what: str, name: str) -> None:
    """Write a method that works and its test into the working directory: m3hl new method NAME.

    It is trained by `method: ./NAME.py` in a configuration; docs/own-method.md goes on from there.
    """
    method, test = write_skeleton(name, Path())
    click.echo(f"{method}: a configuration names it by `method: ./{method}`")
    click.echo(f"{test}: pytest {test}")
