"""What a reader of the numbers must know, and what to cite."""

from typing import Any

from m3hl.reporting.study import Study

TITLE = "Cautions and citations"
PAPER = (
    "Y. Liu, Z. Zhang, J. Yue, W. Guo, D. Li: M³HL: Mutual Mask Mix with High-Low Level Feature Consistency for "
    "Semi-Supervised Medical Image Segmentation. MICCAI 2025"
)
CODE = "https://github.com/PHPJava666/M3HL"


def content(study: Study) -> dict[str, Any]:
    """Return cautions, general ones first, and citations."""
    return {
        "test_selected": [result.run for result in study.results if result.test_selected],
        "one_seed": any(len(row.runs) == 1 for name in study.datasets for row in study.rows(name)),
        "datasets": list(study.datasets.values()),
        "paper": PAPER,
        "code": CODE,
    }
