"""Command-line options that several stages share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

PATH = click.Path(path_type=Path)
MOST_THREADS = 1024
"""OpenMP ends the process where it cannot start as many threads as it is told to."""


def file_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Let the shell complete names of files."""
    return [CompletionItem(typed, type="file")]


config = click.option(
    "--config",
    required=True,
    help="The configuration: a YAML file, or YAML or JSON text itself.",
    shell_complete=file_names,
)
dataset = click.option("--dataset", required=True, help="Name of the data set in the configuration.")
store = click.option("--store", required=True, type=PATH, help="The data set's HDF5 store.")


def device(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --device and --threads to a command."""
    command = click.option(
        "--threads", type=click.IntRange(1, MOST_THREADS), help="CPU threads.  [default: all cores]"
    )(command)
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        help="Where to compute.  [default: as configured, else auto]",
    )(command)
