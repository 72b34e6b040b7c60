"""The command line in this process, with its mistakes as one line."""

import logging

import pytest
from click.testing import CliRunner

from m3hl.cli import cli
from m3hl.errors import UserError


@pytest.fixture
def m3hl():
    """Return a function that runs a command line; it returns the error line, None when all went well."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments):
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if result.exception is None:
            return None
        if not isinstance(result.exception, UserError):
            raise AssertionError(result.output) from result.exception
        line = str(result.exception)
        assert "\n" not in line
        return line

    yield run
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
