"""TensorBoard's curves of a run in progress."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Curves:
    """Curves that are written as long as they can be: a training does not end for want of them.

    Args:
        folder: where they go.
        iteration: what an interrupted run wrote after it is hidden.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        self.folder = folder
        self._writer: Any = None
        with self._forgiving():
            # Here, as a machine may have torch and no TensorBoard.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=iteration + 1)

    def add(self, row: dict[str, Any], iteration: int) -> None:
        """Add a point to the curve of each value of a row."""
        with self._forgiving():
            for name, value in row.items() if self._writer else ():
                self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Write what is left."""
        with self._forgiving():
            if self._writer:
                self._writer.close()

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError) as error:
            self._writer = None
            reason = getattr(error, "strerror", None) or error
            log.warning("warning: %s: no more of TensorBoard's curves (%s)", self.folder, reason)
