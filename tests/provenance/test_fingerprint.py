"""Digests of source: what counts as a change, and what a stage's source is."""

import pytest

from m3hl.provenance import fingerprint
from m3hl.provenance.fingerprint import closure, significant

SOURCE = '''"""What it is."""

import os


def double(x: int) -> str:
    """Return twice."""
    # A reason.
    return f"{x + 2!r:>{os.sep}} and" + """kept
    text"""
'''


def tokens(text):
    return list(significant(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    # A reason.\n", ""),
        ("    # A reason.\n", "    # Another one.\n\n\n"),
        ('"""Return twice."""', '"""Return it\n\n    two times."""'),
        ('"""What it is."""\n', ""),
        ("x: int", "x :  int"),
        ("import os\n\n\n", "import os\n"),
        ("    return", "    return  "),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(old, new):
    assert old in SOURCE
    assert tokens(SOURCE.replace(old, new)) == tokens(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 2", "x + 3"),
        ("kept\n    text", "kept\n text"),
        ("import os", "import sys"),
        ("!r", "!s"),
        (" and", "and"),
    ],
)
def test_everything_else_counts(old, new):
    assert old in SOURCE
    assert tokens(SOURCE.replace(old, new)) != tokens(SOURCE)


def test_indentation_that_changes_the_meaning_counts():
    assert tokens("if a:\n    b\n    c\n") != tokens("if a:\n    b\nc\n")
    assert tokens("if a:\n    b\n") == tokens("if a:\n  b\n")


def test_an_import_inside_a_function_counts():
    assert "m3hl.training.loop" in closure(["m3hl.commands.train"])


def test_packages_on_the_way_belong_to_it():
    assert {"m3hl", "m3hl.training", "m3hl.methods.method"} <= closure(["m3hl.training.loop"])


@pytest.mark.parametrize(
    ("stage", "absent"),
    [
        ("train", ("m3hl.reporting", "m3hl.evaluation.metrics", "m3hl.data.preprocess", "m3hl.methods.m3hl")),
        ("evaluate", ("m3hl.reporting", "m3hl.training.loop", "m3hl.methods.m3hl", "m3hl.data.preprocess")),
        ("preprocess", ("m3hl.reporting", "m3hl.training", "m3hl.nets", "m3hl.methods")),
        ("report", ("m3hl.training", "m3hl.nets", "m3hl.methods", "m3hl.data.preprocess")),
    ],
)
def test_a_stage_does_not_depend_on_what_it_does_not_import(stage, absent):
    assert not closure([f"m3hl.commands.{stage}"]) & set(absent)


def test_data_files_of_a_package_count(tmp_path, monkeypatch):
    root = tmp_path / "m3hl"
    (root / "part" / "tables").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "part" / "__init__.py").write_text("X = 1\n")
    (root / "part" / "tables" / "a.csv").write_text("1\n")
    monkeypatch.setattr(fingerprint, "ROOT", root)

    def digest():
        fingerprint.file_digest.cache_clear()
        fingerprint.imports.cache_clear()
        return fingerprint.fingerprint(["m3hl.part"])

    before = digest()
    assert digest() == before
    (root / "part" / "tables" / "a.csv").write_text("2\n")
    assert digest() != before
    (root / "part" / "tables" / "a.csv").write_text("1\n")
    (root / "part" / "__init__.py").write_text("X = 1  # one\n")
    assert digest() == before
    fingerprint.file_digest.cache_clear()
    fingerprint.imports.cache_clear()
