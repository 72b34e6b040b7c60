"""`m3hl check`: every problem of a study's data at once, and pictures of every case."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from m3hl import options
from m3hl.config.experiment import load_config


@click.command(context_settings={"show_default": True})
@click.argument("config", shell_complete=options.file_names)
@click.option("--dataset", help="Only the data set of this name.  [default: all that lie in files]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per problem and line.")
@click.option(
    "--sheet",
    type=options.PATH,
    help="Also write middle slices with the label maps' outlines to this PNG file (of several data sets: with "
    "their names before the ending).",
)
def command(config: str, dataset: str | None, as_json: bool, sheet: Path | None) -> None:
    """Read every file of the data sets of CONFIG, and list all that is wrong or odd; nothing is changed.

    ✗ stops the pipeline: then the exit code is 1. ○ is worth a look, or is put right on the way in.
    """
    study = load_config(config)
    names = [dataset] if dataset else list(study.datasets)
    chosen = {name: study.dataset(name) for name in names}

    from m3hl.config.datasets import describe
    from m3hl.data.inspection import inspect
    from m3hl.reporting.figures.sheet import Sheet

    stops = False
    for name, one in chosen.items():
        if one.source == "phantom":
            continue
        pictures = Sheet(describe(one).dimensions)
        problems = inspect(one, name, pictures.add if sheet else lambda case: None)
        if sheet:
            pictures.save(sheet if len(chosen) == 1 else sheet.with_name(f"{sheet.stem}-{name}{sheet.suffix}"))
        width = max((len(problem.case) for problem in problems), default=0)
        for problem in problems:
            line = f"{problem.mark} {name}  {problem.case:<{width}}  {problem.what}"
            values = {"dataset": name, **asdict(problem)}
            click.echo(json.dumps(values, ensure_ascii=False) if as_json else line)
        stops = stops or any(problem.stops for problem in problems)
        if not problems and not as_json:
            click.echo(f"✓ {name}  nothing wrong, nothing odd")
    sys.exit(int(stops))
