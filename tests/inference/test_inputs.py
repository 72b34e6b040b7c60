"""Lists of scans to segment."""

import pytest

from m3hl.errors import UserError
from m3hl.inference.inputs import listed_scans


def test_a_case_that_stands_twice_is_named(tmp_path):
    (tmp_path / "scans.csv").write_text("case,image\na,1.nii\nb,2.nii\na,3.nii\n")
    with pytest.raises(UserError, match=r"scans\.csv: case a stands there twice; rename one"):
        listed_scans(tmp_path / "scans.csv")
