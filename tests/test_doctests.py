"""What docstrings show comes out."""

import doctest
import importlib
from pathlib import Path

import pytest

import m3hl

ROOT = Path(m3hl.__file__).parents[1]
SHOWING = [path for path in sorted((ROOT / "m3hl").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_of_docstrings(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
