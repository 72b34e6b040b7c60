"""`m3hl report`: tables, figures and one HTML page about a study."""

from pathlib import Path

import click

from m3hl import options
from m3hl.config.experiment import load_config
from m3hl.provenance.origin import Stopwatch
from m3hl.provenance.records import write_record
from m3hl.provenance.seal import Seal

READ = ("run.json", "history.csv", "metrics.csv", "predictions.h5", "evaluation.json")


@click.command(context_settings={"show_default": True})
@options.config
@click.option("--results", required=True, type=options.PATH, help="The study's folder, results/NAME.")
@click.option("--out", type=options.PATH, help="Page to write (HTML).  [default: RESULTS/report.html]")
def command(config: str, results: Path, out: Path | None) -> None:
    """Write one self-contained HTML page about a study, and its tables and figures as files beside it.

    Beside the page: table1.csv; tables/ (every table as CSV, Markdown and LaTeX); figures/ (every figure as SVG
    and PNG); report.json (who made it).

    Runs that have not ended are shown as such, so a report can be made while a study is running.
    """
    study_config, stopwatch = load_config(config), Stopwatch()

    from m3hl.files.atomic import write_text
    from m3hl.reporting.exports import earlier_exports, write_exports
    from m3hl.reporting.page import gather, render
    from m3hl.reporting.study import load_study
    from m3hl.reporting.tables import table1_csv

    page = out or results / "report.html"
    table, record = page.with_name("table1.csv"), page.with_suffix(".json")
    runs = list(study_config.runs())
    stores = [results / "data" / f"{name}.h5" for name in sorted({run.dataset for run in runs})]
    read = [*stores, *(results / run.path / name for run in runs for name in READ)]
    seal = Seal(record, study_config, "report", inputs=read)
    study = load_study(study_config, results)
    write_text(table, table1_csv(study))
    contents = gather(study)
    write_text(page, render(study, contents))
    earlier = earlier_exports(record)
    exports = write_exports(list(contents.values()), page.parent)
    for path in earlier - set(exports):
        path.unlink(missing_ok=True)
    write_record(record, {"provenance": stopwatch.record(), "seal": seal.record([page, table, *exports])})
