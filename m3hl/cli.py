"""The command line: `m3hl STAGE …`, one module in `m3hl.commands` per stage."""

import codecs
import importlib
import io
import logging
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from m3hl import __version__
from m3hl.errors import ERROR, MISTAKE, UserError, is_out_of_memory
from m3hl.progress import plain
from m3hl.provenance.origin import origin

log = logging.getLogger(__name__)

REMEDY = (
    "in training, make labeled_batch, unlabeled_batch or crop smaller, or choose --precision bf16 or "
    "--device cpu; elsewhere use smaller images, or a machine with more memory"
)
STAGES = {
    "run": "Run the whole pipeline on a configuration.",
    "demo": "Run it on synthetic images, in some minutes.",
    "download": "Fetch a dataset's files, or check that they are there.",
    "check": "List all that is wrong or odd in a study's data, with pictures.",
    "preprocess": "Turn a dataset's files into one HDF5 store.",
    "train": "Train one method with one number of labeled cases and one seed.",
    "evaluate": "Segment a split with a trained run and measure it.",
    "report": "Write tables, figures and one HTML page about an experiment.",
    "predict": "Segment your own images with a trained run.",
    "status": "Show how the runs of a study are doing, also while they run.",
    "explain": "Say why each job of the pipeline would run; nothing is run.",
    "verify": "Check every file of a study against the records of who made it.",
    "methods": "List the methods that a configuration can name.",
    "new": "Write a method of your own to begin with, and its test.",
    "doctor": "Say what this machine has, and what is missing.",
}


class Stages(click.Group):
    """A group that imports a stage's module only when it is called, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the stages in the order of the pipeline."""
        return list(STAGES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command object of a stage, or None for an unknown name."""
        return importlib.import_module(f"m3hl.commands.{name}").command if name in STAGES else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the stages and options that begin as what has been typed, without importing any stage."""
        found = [CompletionItem(name, help=text) for name, text in STAGES.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of stages from `STAGES`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(STAGES.items()))


@click.group(cls=Stages, context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="m3hl")
@click.option("--log", type=click.Path(path_type=Path), help="Also add what is said to this file.")
def cli(log: Path | None) -> None:
    """M³HL, reproduced: semi-supervised medical image segmentation from raw images to a report."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            # What an interrupted attempt has said stays.
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{origin()}\n")
            handlers.append(logging.FileHandler(log, encoding="utf-8", errors="backslashreplace"))
        except OSError as error:
            raise UserError(f"{log}: cannot write the log ({error.strerror}); choose another file") from error
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)
    logging.captureWarnings(True)


def first_sentence(error: Exception) -> str:
    """Return the beginning of an error's message."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line.rpartition("DefaultCPUAllocator: ")[2].partition(". ")[0]


def main() -> None:
    """Run the command line; a `UserError` becomes one line and exit code 1."""
    codecs.register_error(plain.__name__, plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a sign must not end a command, nor show twenty escapes for a bar.
            stream.reconfigure(errors=plain.__name__)
    try:
        cli.main(prog_name="m3hl")
    except UserError as error:
        # Through logging, so that it stands in --log too; before the log is open, straight to the terminal.
        log.error("%s%s", ERROR, error)
        sys.exit(1)
    except Exception as error:
        if is_out_of_memory(error):
            log.error("%sthe memory does not suffice (%s); %s", ERROR, first_sentence(error), REMEDY)
            sys.exit(1)
        log.exception(MISTAKE)
        sys.exit(70)
