"""The learning curve: mean losses between two rows, validation Dice, and Dice of pseudo-labels."""

import csv
import io
from pathlib import Path
from typing import Any

from torch import Tensor

from m3hl.files.atomic import write_text


class History:
    """Rows of history.csv; losses stay on the device until a row is made, so that a step never waits."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float | int | None]] = []
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one iteration's losses to the running means."""
        for name, value in losses.items():
            value = value.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def close_row(
        self, iteration: int, learning_rate: float, scores: dict[str, float], stage: int | None = None
    ) -> dict[str, Any]:
        """Append and return the row of `iteration`: means since the last row, and validation scores.

        Args:
            iteration: iterations done.
            learning_rate: of the last of them.
            scores: of the validation, empty where there was none.
            stage: number of the stage, from 1; None in a run without stages.
        """
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        which = {} if stage is None else {"stage": stage}
        row = {"iteration": iteration, **which, "learning_rate": learning_rate, **means, **scores}
        self.rows.append(row)
        return row

    @property
    def last_iteration(self) -> int:
        """Return the iteration of the newest row, 0 where there is none."""
        return self.rows[-1]["iteration"] if self.rows else 0

    def summary(self) -> str:
        """Return the newest loss and validation Dice, for a progress line."""
        loss = f"loss {self.rows[-1]['loss']:.3f}" if self.rows else ""
        # The first network of a row is the result.
        scores = (value for row in reversed(self.rows) for name, value in row.items() if name.startswith("val_"))
        newest = next(scores, None)
        return loss if newest is None else f"{loss}  Dice {newest:.1f}"

    def write(self, path: Path) -> None:
        """Write the rows as CSV; floats keep every bit."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"rows": self.rows, "sums": self._sums, "counts": self._counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.rows, self._sums, self._counts = state["rows"], state["sums"], state["counts"]
