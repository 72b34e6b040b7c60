"""Signals from a cluster to the stage that runs below a Snakemake job.

Before a cluster kills a job it sends a signal, often to the job's top process alone, which is Snakemake. Training
saves itself when it gets one (`m3hl.training.interruption`), so the signal must reach it.
"""

import contextlib
import os
import signal
import threading
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
    """Send each signal whose number can be read from a pipe to the running stages."""
    while number := os.read(arrivals, 1):
        if number[0] in PASSED_ON:
            for process in leaves(os.getpid()):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, number[0])


def leaves(root: int) -> list[int]:
    """Return the processes below `root` that have no children: not the shells, but what they have started."""
    children: dict[int, list[int]] = {}
    for folder in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # number (name) state parent …, where the name may hold anything, brackets too
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    waiting = list(children.get(root, []))
    while waiting:
        process = waiting.pop()
        below = children.get(process, [])
        waiting += below
        if not below:
            found.append(process)
    return found
