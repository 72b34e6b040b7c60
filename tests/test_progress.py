"""Progress lines: plain wherever they go, rare, and read back by `m3hl status`."""

import codecs
import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3hl import progress
from m3hl.progress import Progress, Step, clock, plain, read_line

CODE = """
import logging, sys
from m3hl.progress import Progress
logging.basicConfig(level=logging.INFO, format="%(message)s")
progress = Progress("train", 3, interval=0)
for done in (1, 2, 3):
    progress.update(done, "loss 0.1")
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def at(monkeypatch):
    """Return a function that sets the time, in seconds."""

    def set_time(now):
        monkeypatch.setattr(progress.time, "monotonic", lambda: now)

    set_time(0.0)
    return set_time


def test_a_line_at_most_every_interval_and_always_the_last(at, caplog):
    caplog.set_level(logging.INFO)
    shown = Progress("x", 100, interval=5.0)
    for done in range(1, 101):
        at(done / 4)
        shown.update(done)
    assert [read_line(message).done for message in caplog.messages] == [20, 40, 60, 80, 100]
    assert caplog.messages[-1].endswith("100/100  took 0:25")


def test_what_is_done_at_once_is_one_line(at, caplog):
    caplog.set_level(logging.INFO)
    shown = Progress("x", 1000)
    for done in range(1, 1001):
        shown.update(done)
    assert len(caplog.messages) == 1


def test_the_time_left_comes_from_this_attempt_alone(at, caplog):
    caplog.set_level(logging.INFO)
    shown = Progress("x", 100, done=80)
    at(10.0)
    shown.update(90)
    assert caplog.messages == ["x  ██████████████████░░  90% 90/100  0:10 left"]


def test_before_the_first_step_the_time_left_is_not_known():
    assert read_line(Progress("x", 4).line(10.0, "")) == Step(0, 4, "", None, "x")


@pytest.mark.parametrize(
    "error", ["m3hl: error: 3/6 left", "2026-01-01T00:00:00+00:00 m3hl 1", "", "x  50% 3/6  0:12 left"]
)
def test_other_lines_are_no_progress(error):
    assert read_line(error) is None


@given(
    total=st.integers(1, 10**6),
    share=st.floats(0, 1),
    elapsed=st.floats(0.1, 10**6),
    label=st.sampled_from(["fetch a.h5", "d · m3hl · 3 labeled · seed 1", "x  y"]),
    text=st.sampled_from(["", "loss 0.1", "loss 0.127  Dice 44.4", "patient001_frame01"]),
)
def test_every_line_is_read_back(total, share, elapsed, label, text):
    shown = Progress(label, total)
    shown.done = round(share * total)
    step = read_line(shown.line(elapsed, text))
    assert (step.done, step.total, step.text) == (shown.done, total, text)
    if shown.done == total:
        assert step.left == 0
    elif shown.done:
        assert step.left == round(elapsed * (total - shown.done) / shown.done)


def test_a_terminal_without_the_signs_gets_a_bar_that_is_read_back_too():
    codecs.register_error("plain", plain)
    line = Progress("d · m3hl", 4, done=2).line(10.0, "Dice 1.0").replace("?", "0:01")
    shown = line.encode("ascii", "plain").decode()
    assert shown == "d - m3hl  ##########..........  50% 2/4  Dice 1.0  0:01 left"
    assert read_line(shown) == Step(2, 4, "Dice 1.0", 1, "d - m3hl")
    assert read_line(line.encode("ascii", "backslashreplace").decode()).done == 2
    assert "10 µm ∞".encode("latin-1", "plain") == b"10 \xb5m \\u221e"


@given(st.integers(0, 10**7))
def test_a_clock_has_no_minute_or_second_above_59(seconds):
    hours, minutes, second = ([0, 0, 0, *map(int, clock(seconds).split(":"))])[-3:]
    assert (hours * 60 + minutes) * 60 + second == seconds
    assert second < 60
    assert minutes < 60


def in_a_file(folder, **more):
    """Return what a process says on its way into a log file."""
    with (folder / "log").open("wb") as file:
        subprocess.run([sys.executable, "-c", CODE], stderr=file, check=True, env=ENVIRONMENT | more)
    return (folder / "log").read_text(encoding="utf-8")


def in_a_terminal():
    """Return what a process says in a terminal, which turns each end of a line into \\r\\n."""
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", CODE], stderr=theirs, check=True, env=ENVIRONMENT)
    os.close(theirs)
    with open(ours, "rb") as file:  # noqa: PTH123
        return file.read1(10**6).decode().replace("\r\n", "\n")


def test_lines_are_plain_and_the_same_in_a_file_in_ci_and_in_a_terminal(tmp_path):
    said = in_a_file(tmp_path)
    assert [read_line(line).done for line in said.splitlines()] == [1, 2, 3]
    assert all(sign.isprintable() or sign == "\n" for sign in said)
    for other in (in_a_file(tmp_path, CI="true"), in_a_terminal()):
        assert [read_line(line) for line in other.splitlines()] == [read_line(line) for line in said.splitlines()]
        assert all(sign.isprintable() or sign == "\n" for sign in other)


class NotebookStream(io.TextIOBase):
    """A stream as a notebook puts it in place of stderr: it takes text, and is neither file nor terminal."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)

    def fileno(self):
        raise io.UnsupportedOperation("fileno")


def test_a_notebook_gets_the_same_lines(monkeypatch):
    stream = NotebookStream()
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(progress.log, "handlers", [handler])
    monkeypatch.setattr(progress.log, "level", logging.INFO)
    Progress("x", 1).update(1)
    assert stream.text == "x  ████████████████████ 100% 1/1  took 0:00\n"
