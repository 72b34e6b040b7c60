"""The command line as a program: what it says about itself, and where mistakes are written."""

import logging
import sys

import pytest

from m3hl import __version__, cli
from m3hl.errors import UserError


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs the program; it returns exit code, output and errors."""

    def program(*arguments):
        monkeypatch.setattr(sys, "argv", ["m3hl", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield program
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_help_lists_the_stages_in_their_order(run):
    code, out, _ = run("--help")
    places = [out.index(f"  {stage} ") for stage in cli.STAGES]
    assert code == 0
    assert places == sorted(places)


def test_version(run):
    assert run("--version") == (0, f"m3hl, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("x: missing; get it"), 1, "m3hl: error: x: missing; get it\n"),
        (ZeroDivisionError("oops"), 70, "ZeroDivisionError: oops\n"),
    ],
)
def test_errors_stand_in_the_log_too(run, monkeypatch, tmp_path, error, code, said):
    def fail(*_):
        raise error

    monkeypatch.setattr("m3hl.doctor.examine", fail)
    monkeypatch.setattr("m3hl.commands.doctor.examine", fail, raising=False)
    assert run("--log", tmp_path / "a" / "log", "doctor")[0] == code
    log = (tmp_path / "a" / "log").read_text()
    assert log.endswith(said)
    assert ("Traceback" in log) == (code == 70)
