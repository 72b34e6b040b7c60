"""The command line as a program: what it says about itself, and where mistakes are written."""

import pytest

from m3hl import __version__, cli
from m3hl.errors import UserError


def test_help_lists_the_stages_in_their_order(program):
    code, out, _ = program("--help")
    places = [out.index(f"  {stage} ") for stage in cli.STAGES]
    assert code == 0
    assert places == sorted(places)


def test_version(program):
    assert program("--version") == (0, f"m3hl, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("x: missing; get it"), 1, "m3hl: error: x: missing; get it\n"),
        (ZeroDivisionError("oops"), 70, "ZeroDivisionError: oops\n"),
    ],
)
def test_errors_stand_in_the_log_too(program, monkeypatch, tmp_path, error, code, said):
    def fail(*_):
        raise error

    monkeypatch.setattr("m3hl.doctor.examine", fail)
    assert program("--log", tmp_path / "a" / "log", "doctor")[0] == code
    log = (tmp_path / "a" / "log").read_text()
    assert f" m3hl {__version__}, commit " in log.partition("\n")[0]
    assert log.endswith(said)
    assert ("Traceback" in log) == (code == 70)


def test_a_log_keeps_what_an_earlier_attempt_has_said(program, tmp_path):
    (tmp_path / "log").write_text("SIGTERM at iteration 7: saved\n")
    program("--log", tmp_path / "log", "doctor")
    first, second, *_ = (tmp_path / "log").read_text().splitlines()
    assert first == "SIGTERM at iteration 7: saved"
    assert f"m3hl {__version__}" in second
