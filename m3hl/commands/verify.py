"""`m3hl verify`: does every file of a study fit the records of who made it?"""

from pathlib import Path

import click

from m3hl import options
from m3hl.errors import UserError


@click.command()
@click.argument("results", type=options.PATH)
@click.option("--published", is_flag=True, help="RESULTS is a copy without volumes, weights, page and pictures.")
def command(results: Path, published: bool) -> None:
    """Check the whole chain of RESULTS, a folder results/<name>: raw files, stores, runs, metrics, report.

    Every file is compared with the digest that the record of its making holds, and every stage's inputs with what
    is there now. Each thing that does not fit is one line, and the exit code is 1. It works on a copy as well. A
    published one may lack volumes, weights, pages and pictures: they are counted, and everything else must fit.
    """
    from m3hl.provenance.verify import Chain

    chain, count = Chain(results, published), 0
    for problem in chain.problems():
        click.echo(problem)
        count += 1
    if chain.absent:
        click.echo(f"note: {chain.absent} raw files are not on this machine and were not compared")
    if chain.left_out:
        click.echo(f"note: {len(chain.left_out)} volumes, weights, pages and pictures are left out of this copy")
    for stage, names in chain.edited.items():
        click.echo(f"note: {stage} would run other source now: {', '.join(sorted(names))}")
    if count:
        things = "1 thing does" if count == 1 else f"{count} things do"
        raise UserError(f"{results}: {things} not fit; take them back, or use snakemake --forcerun STAGE")
    click.echo(f"{results}: {chain.files} files, everything fits")
