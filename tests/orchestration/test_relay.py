"""Signals reach what runs, not the shells in between."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from m3hl.orchestration.relay import leaves

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")

# A job as Snakemake makes it: this process, a shell, and in it a program that ends well only when it is told to.
# It sleeps in naps: Python handles a signal that comes just before a sleep after it.
PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("ready", flush=True)
for _ in range(600):
    time.sleep(0.1)
"""
JOB = """
import os, signal, subprocess, sys, time
from m3hl.orchestration.relay import pass_signals_on
pass_signals_on()
if sys.argv[2] == "own handler":
    signal.signal(signal.SIGTERM, lambda *_: None)
if sys.argv[2] == "with a helper":
    helper = subprocess.Popen(["sleep", "60"], start_new_session=True)
if sys.argv[2] == "late":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.5)
stage = subprocess.Popen(["bash", "-c", 'set -e; "$0" -c "$1" || exit $?', sys.executable, sys.argv[1]])
code = stage.wait()
if sys.argv[2] == "with a helper":
    assert helper.poll() is None
    helper.kill()
sys.exit(code if code >= 0 else 128 - code)
"""


@pytest.fixture
def job():
    """Return a function that starts a job, and waits until its program runs."""
    processes = []

    def start(how="as it is", wait=True):
        process = subprocess.Popen([sys.executable, "-c", JOB, PROGRAM, how], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert not wait or process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.stdout.close()
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", ["as it is", "own handler"])
def test_a_signal_to_the_job_reaches_the_program_whose_end_is_the_jobs(job, how):
    process = job(how)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3


def test_leaves_are_the_programs_and_not_the_shells(job):
    process = job()
    (leaf,) = leaves(process.pid)
    assert PROGRAM.strip().splitlines()[0] in Path(f"/proc/{leaf}/cmdline").read_text()
    assert leaves(leaf) == []
    assert leaf in leaves(os.getpid())


def test_a_process_that_ends_meanwhile_is_no_obstacle(job, monkeypatch):
    process = job()
    os.kill(leaves(process.pid)[0], signal.SIGKILL)
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        leaves(process.pid)
    assert process.returncode == 137


def test_a_helper_in_a_group_of_its_own_is_spared(job):
    process = job("with a helper")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3


def test_a_signal_that_comes_too_early_waits_for_the_stage(job):
    process = job("late", wait=False)
    assert process.wait(20) in (3, 128 + signal.SIGTERM), "the program ended by itself"
