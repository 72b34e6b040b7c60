"""What M³HL is, in a paragraph and a drawing."""

from typing import Any

from m3hl.reporting.comparison import OURS, of
from m3hl.reporting.study import Study

TITLE = "The method"
CELL, GRID = 20, 4
KEPT = ((0, 1), (0, 2), (1, 0), (1, 3), (2, 1), (2, 3), (3, 0), (3, 2))
"""Cells (row, column) of the drawing's mask that show the unlabeled image: half of them."""


def content(study: Study) -> dict[str, Any] | None:
    """Return the drawing's mask as corners of cells, for either image; None for a study without M³HL."""
    if not of(study, OURS):
        return None
    cells = [(row, column) for row in range(GRID) for column in range(GRID)]
    return {
        "cell": CELL,
        "unlabeled": [(column * CELL, row * CELL) for row, column in cells if (row, column) in KEPT],
        "labeled": [(column * CELL, row * CELL) for row, column in cells if (row, column) not in KEPT],
    }
