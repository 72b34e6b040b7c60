"""The next step's data are prepared while this one is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Calls `function(iteration)` in a thread for the iteration that will be asked for next.

    Args:
        function: depends on the iteration alone.
    """

    def __init__(self, function: Callable[[int], T]) -> None:
        self._function, self._thread = function, ThreadPoolExecutor(1)
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, iteration: int) -> T:
        """Return `function(iteration)`, which was begun by the call for the iteration before."""
        expected, future = self._next or (None, None)
        if expected != iteration:
            future = self._thread.submit(self._function, iteration)
        result = future.result()
        self._next = iteration + 1, self._thread.submit(self._function, iteration + 1)
        return result

    def close(self) -> None:
        """Wait for what is being prepared, and let it go."""
        self._thread.shutdown(cancel_futures=True)
