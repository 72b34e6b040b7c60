"""Taking time, on a CPU and on a GPU that works on its own."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_each(function: Callable[[], Any], rounds: int, device: torch.device, calls: int = 20) -> float:
    """Return the seconds of one call: the median over rounds, after a first round that does not count.

    A round is one call on a CPU, and several on a GPU, which is waited for at the end of a round only.
    """
    calls, times = (calls if device.type == "cuda" else 1), []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        for _ in range(calls):
            function()
        wait(device)
        times.append((time.perf_counter() - begun) / calls)
    return statistics.median(times[1:])


def seconds_by_turns(functions: Sequence[Callable[[], Any]], rounds: int, device: torch.device) -> list[float]:
    """Return the seconds of one call of each function, which are called by turns, so that a busy machine is fair.

    On a CPU these are seconds of computing, of all threads together; a machine's other work does not count.
    """
    gpu = device.type == "cuda"
    clock, calls = (time.perf_counter, 20) if gpu else (time.process_time, 1)
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds + 1):
        for function, found in zip(functions, times, strict=True):
            wait(device)
            begun = clock()
            for _ in range(calls):
                function()
            wait(device)
            found.append((clock() - begun) / calls)
    return [statistics.median(found[1:]) for found in times]


class Parts:
    """Seconds by part of a step; a GPU is waited for at the end of each, so that the sum is more than a step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        wait(self.device)
        begun = time.perf_counter()
        yield
        wait(self.device)
        self.seconds[name] += time.perf_counter() - begun

    def timed(self, function: Callable[..., Any], name: Callable[..., str] | str) -> Callable[..., Any]:
        """Return a function whose calls count for a part, which may depend on its arguments."""

        def wrapper(*arguments: Any, **options: Any) -> Any:
            with self.part(name if isinstance(name, str) else name(*arguments)):
                return function(*arguments, **options)

        return wrapper
