"""`m3hl run`: Snakemake's end, and where the page is."""

from pathlib import Path

import pytest

from m3hl.orchestration import snakemake
from m3hl.provenance.fingerprint import ROOT


@pytest.mark.parametrize(
    ("code", "made", "said"), [(0, True, "Open results/demo/report.html\n"), (0, False, ""), (1, True, "")]
)
def test_the_page_is_named_at_the_end(program, tmp_path, monkeypatch, code, made, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(snakemake, "run", lambda *_: code)
    if made:
        Path("results/demo").mkdir(parents=True)
        Path("results/demo/report.html").touch()
    assert program("run", ROOT.parent / "config" / "config.yaml")[:2] == (code, said)
