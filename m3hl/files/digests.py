"""Digests of files and of plain values, and the paths under which they are noted."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def relative(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder`, with forward slashes; it may lead out of the folder."""
    return Path(os.path.relpath(path, folder)).as_posix()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value's canonical text (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
