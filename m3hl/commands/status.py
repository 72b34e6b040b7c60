"""`m3hl status`: how the runs of a study are doing."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from m3hl import options
from m3hl.orchestration.plan import read_plan
from m3hl.orchestration.status import STATES, Status, look_at
from m3hl.progress import bar, clock


@click.command()
@click.argument("results", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--config",
    help="The configuration.  [default: RESULTS/study.json, which the workflow writes]",
    shell_complete=options.file_names,
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per run and line.")
def command(results: Path, config: str | None, as_json: bool) -> None:
    """Show how each run of the study in RESULTS, a folder results/<name>, is doing; nothing is changed.

    Also while it runs, and with exit code 0 where runs have failed.
    """
    found = look_at(read_plan(results, config), results)
    if as_json:
        for status in found:
            click.echo(json.dumps(status.record(), ensure_ascii=False))
        return
    counts = Counter(status.state for status in found)
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    click.echo(f"{results}: {len(found)} run{'s' * (len(found) != 1)}: {states}")
    for line in table(found):
        click.echo(line)


def table(found: list[Status]) -> Iterator[str]:
    """Yield the lines of a table, with the log of what has gone wrong below its run."""
    rows = [("data set", "method", "labeled", "seed", "state", "")]
    rows += [(*map(str, status.run), status.state, detail(status)) for status in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for row, status in zip(rows, [None, *found], strict=True):
        yield "  ".join(
            [*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        if status and status.why and status.attempt:
            yield f"{'':<{sum(widths) + 2 * len(widths)}}{status.attempt.log}"


def detail(status: Status) -> str:
    """Return what is said of a run behind its state."""
    if status.state == "done":
        return "no test Dice" if status.test_dice is None else f"test Dice {status.test_dice:.1f}"
    if status.why:
        return f"{status.stage}: {status.why}"
    if status.attempt is None:
        return "trained, not yet evaluated" if status.stage == "evaluate" else ""
    step, dice = status.attempt.step, status.attempt.dice
    if step is None:
        return f"{status.stage} begins"
    parts = [
        (status.attempt.training_stage or "") if status.stage == "train" else status.stage,
        bar(step.done, step.total),
        f"val Dice {dice:.1f}" if dice is not None and status.stage == "train" else "",
        f"{clock(step.left)} left" if step.left else "",
    ]
    return "  ".join(part for part in parts if part)
