"""Files that are whole or absent."""

import glob
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from m3hl.errors import UserError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there when the block ends without an error.

    Whoever looks at `path` sees the old file or the whole new one, also after a power cut.
    """
    path = Path(path)
    make_folder(path.parent)
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot write ({error.strerror or error}); check space and permissions"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files of processes of this machine that were killed while they wrote `path`."""
    start = f".{path.name}.{socket.gethostname()}."
    for part in path.parent.glob(f"{glob.escape(start)}*.part*"):
        pid = part.name.removeprefix(start).partition(".")[0]
        if pid.isdecimal() and not is_running(int(pid)):
            with suppress(OSError):
                part.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Return whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or no process's number at all
        return True
    return True


def make_folder(path: Path) -> None:
    """Create a folder where there is none; raises `UserError` where files cannot be put into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot create the folder ({error.strerror}); choose another") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{path}: cannot write into this folder; choose another, or change its permissions")


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic(path) as part:
        part.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
