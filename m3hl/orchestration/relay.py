"""Signals from a cluster to the stage that runs below a Snakemake job.

Before a cluster kills a job it sends a signal, often to the job's top process alone, which is Snakemake. Training
saves itself when it gets one (`m3hl.training.interruption`), so the signal must reach it.
"""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)
PROCESSES = Path("/proc")


def pass_signals_on() -> None:
    """Let the signals that this process gets reach the stages below it, whoever handles them here."""
    arrivals, written = os.pipe()
    os.set_blocking(written, False)
    # Python writes the number of each signal there, whichever handler it has: Snakemake puts in one of its own.
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    threading.Thread(target=relay, args=[arrivals], daemon=True).start()
    for number in PASSED_ON:
        # Without a handler a signal would end this process at once, and the stage with it.
        signal.signal(number, lambda *_: None)


def relay(arrivals: int) -> None:
    """Send each signal whose number can be read from a pipe to the running stages, or to the next that starts."""
    while number := os.read(arrivals, 1):
        if number[0] not in PASSED_ON:
            continue
        while not (stages := leaves(os.getpid())):
            time.sleep(0.1)
        for process in stages:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number[0])


def leaves(root: int) -> list[int]:
    """Return the processes below `root` that have no children: not the shells, but what they have started.

    A process in a group of its own is a helper, such as the one that holds Apptainer's file system.
    """
    children: dict[int, list[int]] = {}
    group: dict[int, int] = {}
    for folder in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # number (name) state parent group …, where the name may hold anything, brackets too
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(folder.name))
            group[int(folder.name)] = int(fields[2])
    found: list[int] = []
    waiting = [(root, process) for process in children.get(root, [])]
    while waiting:
        parent, process = waiting.pop()
        below = children.get(process, [])
        waiting += [(process, child) for child in below]
        if not below and group[process] == group.get(parent):
            found.append(process)
    return found
