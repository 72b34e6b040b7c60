"""What is known of each method: each has its file, each row of Table 1 its source, and the docs are current."""

import pytest

from m3hl.config import methods
from m3hl.reporting import lineage_docs
from m3hl.reporting.lineage import FINDINGS, in_print_order, lineage
from m3hl.reporting.published import table1
from m3hl.reporting.sections.lineage import content
from m3hl.reporting.study import load_study


def test_every_method_has_findings_and_nothing_else_has():
    assert sorted(path.stem for path in FINDINGS.iterdir()) == methods.names()


@pytest.mark.parametrize("name", methods.names())
def test_a_method_is_known_in_sentences_and_by_its_released_code(name):
    known = lineage(name)
    assert known.findings
    assert all(text.endswith((".", ").")) for text in (known.summary, *known.findings))
    assert known.summary.count(". ") == 0
    assert ("(commit " in known.code) == (name not in ("supervised", "m3hl"))


@pytest.mark.parametrize("kind", ["acdc", "la"])
def test_table_1_has_a_source_for_every_row(kind):
    rows = {row.ours for row in table1(kind)}
    assert {name for name in methods.names() if getattr(lineage(name), kind)} == rows


def test_a_method_from_outside_is_not_known():
    assert lineage("./mine.py") is None


def test_methods_come_in_the_order_of_print_then_by_name():
    assert in_print_order({"m3hl", "mean-teacher", "bcp", "./a.py", "supervised"}) == [
        "supervised",
        "bcp",
        "m3hl",
        "./a.py",
        "mean-teacher",
    ]


def test_the_committed_page_is_what_the_findings_say():
    text = lineage_docs.PAGE.read_text(encoding="utf-8")
    assert text == lineage_docs.written(text), "run make docs"


def test_the_page_of_a_study_has_its_methods(whole, tiny_config):
    entries = content(load_study(tiny_config, whole))["entries"]
    assert [entry["title"] for entry in entries] == ["Supervised", "M³HL"]
    assert [title for title, _ in entries[1]["printed"]] == ["ACDC", "LA"]
