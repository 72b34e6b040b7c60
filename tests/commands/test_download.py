"""`m3hl download`: phantoms are made, what is there is listed, what is missing is named or fetched."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from m3hl.config.experiment import load_config
from m3hl.data import public, sources
from m3hl.files.digests import sha256_file


def config(**dataset):
    return json.dumps({"name": "test", "datasets": {"d": dataset}})


PHANTOMS = {"train": 1, "val": 0, "test": 1}


@pytest.mark.parametrize(
    ("kind", "size", "count"), [("acdc", (32, 32), 2 * 5 + 1), ("la", (24, 24, 24), 2 * 2 + 1)]
)
def test_phantoms_are_made_and_listed(m3hl, tmp_path, kind, size, count):
    out = tmp_path / "sub" / "list.json"
    text = config(kind=kind, source="phantom", phantom=PHANTOMS | {"size": size})
    assert m3hl("download", "--config", text, "--dataset", "d", "--out", out) is None
    inventory = json.loads(out.read_text())
    assert (inventory["dataset"], inventory["kind"], inventory["source"]) == ("d", kind, "phantom")
    assert inventory["folder"] == "list"
    assert "synthetic" in inventory["citation"]
    assert inventory["license"]
    assert len(inventory["files"]) == count
    for record in inventory["files"]:
        path = tmp_path / "sub" / "list" / record["path"]
        assert record["bytes"] == path.stat().st_size
        assert record["sha256"] == sha256_file(path)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"kind": "acdc", "source": "public", "path": "gone"}, "gone: there is no such folder; check path, or"),
        ({"kind": "la", "source": "raw", "path": "gone"}, "gone: there is no such folder"),
        ({"kind": "la", "source": "public", "path": "empty"}, r"mri_norm2\.h5: .* \(and 99 more files\)"),
        ({"kind": "acdc", "source": "public", "path": "empty"}, r"slice_1\.h5: .* \(and 1371 more files\)"),
        ({"kind": "acdc", "source": "raw", "path": "empty"}, "Info.cfg: there is no such patient's Info.cfg"),
        ({"kind": "la", "source": "raw", "path": "empty", "download": True}, "get them by hand from https://"),
        ({"kind": "la", "source": "raw"}, "source: raw needs a path"),
        ({"kind": "custom", "source": "folder", "path": "gone.csv", "dimensions": 2, "classes": ["a"]},
         "gone.csv: there is no such list of cases"),
        ({"kind": "acdc", "source": "phantom", "phantom": {"size": (64, 64, 8)}}, "expected height and width"),
        ({"kind": "brats", "source": "raw", "path": "x"}, "unknown dataset kind 'brats'"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(m3hl, tmp_path, monkeypatch, dataset, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    line = m3hl("download", "--config", config(**dataset), "--dataset", "d", "--out", "list.json")
    assert line is not None
    assert re.search(message, line), line
    assert not Path("list.json").exists()


def test_missing_files_are_fetched_after_the_terms_are_shown(m3hl, tmp_path, monkeypatch, caplog):
    def fetch(module, kind, folder):
        assert "By setting download: true you accept" in caplog.text
        for case in module.public_cases(folder):
            case.images[0].parent.mkdir(parents=True)
            case.images[0].write_text(case.name)

    text = config(kind="la", source="public", path=str(tmp_path / "new"), download=True)
    monkeypatch.setattr(public, "fetch_public", fetch)
    (tmp_path / "new").mkdir()
    with caplog.at_level("INFO"):
        inventory = sources.obtain(load_config(text).dataset("d"), "d", tmp_path / "list.json")
    assert len(inventory.files) == 100
    assert "github.com/yulequan/UA-MT" in caplog.text


def test_an_unknown_dataset_is_named(m3hl, tmp_path):
    text = config(kind="acdc", source="phantom")
    line = m3hl("download", "--config", text, "--dataset", "x", "--out", tmp_path / "l.json")
    assert "unknown dataset 'x'; the config has d" in line


def test_the_program_says_it_in_one_line_and_exits_with_1(tmp_path):
    text = config(kind="la", source="public", path=str(tmp_path / "gone"))
    done = subprocess.run(
        [sys.executable, "-m", "m3hl", "download", "--config", text, "--dataset", "d", "--out", "l.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("m3hl: error: ")
    assert "there is no such folder" in line
