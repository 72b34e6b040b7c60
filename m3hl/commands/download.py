"""`m3hl download`: a data set's files are there, and listed with their digests."""

from pathlib import Path

import click

from m3hl import options
from m3hl.config.experiment import load_config
from m3hl.provenance.origin import Stopwatch
from m3hl.provenance.records import write_record
from m3hl.provenance.seal import Seal, beside


@click.command(context_settings={"show_default": True})
@options.config
@options.dataset
@click.option("--out", required=True, type=options.PATH, help="List of files to write (JSON).")
def command(config: str, dataset: str, out: Path) -> None:
    """Make, find or fetch the files of a data set, and list them with their digests.

    Phantoms are written into a folder beside the list. Files of your own are only looked for. Public and raw
    files are fetched when the data set says `download: true`; its terms of use are shown first. Who made the list
    is written beside it (.provenance, JSON).
    """
    from m3hl.data.sources import obtain

    study, stopwatch = load_config(config), Stopwatch()
    record = beside(out)
    seal = Seal(record, study, "download", dataset)
    obtain(study.dataset(dataset), dataset, out).save(out)
    write_record(record, {"provenance": stopwatch.record(), "seal": seal.record([out])})
