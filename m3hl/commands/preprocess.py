"""`m3hl preprocess`: from a data set's files to one HDF5 store."""

from pathlib import Path

import click

from m3hl import options
from m3hl.config.experiment import load_config
from m3hl.data.inventory import load_inventory
from m3hl.provenance.origin import Stopwatch
from m3hl.provenance.records import write_record
from m3hl.provenance.seal import Seal, beside


@click.command(context_settings={"show_default": True})
@options.config
@options.dataset
@click.option("--files", required=True, type=options.PATH, help="List of files that m3hl download wrote.")
@click.option("--out", required=True, type=options.PATH, help="Store to write (HDF5).")
def command(config: str, dataset: str, files: Path, out: Path) -> None:
    """Verify, check and normalise the files of a data set, and write them to one HDF5 store.

    Every file's digest is compared with the list, every image and label map is checked (shape, geometry, NaN,
    label values), and arrays of known data sets are compared with the published ones. Who made the store is
    written beside it (.provenance, JSON): the same files give the same store, whoever makes it.
    """
    from m3hl.data.preprocess import preprocess

    study, stopwatch = load_config(config), Stopwatch()
    record = beside(out)
    seal = Seal(record, study, "preprocess", dataset, inputs=[files])
    preprocess(study.dataset(dataset), load_inventory(files), out)
    write_record(record, {"provenance": stopwatch.record(), "seal": seal.record([out])})
