"""Files that are whole or absent, and digests of what they hold."""

import glob
import hashlib
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from m3hl.errors import UserError

MOST_VALUES = 10**6
"""Values of a YAML document; a few aliases of aliases would fill the memory."""


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


def read_text(path: Path, what: str) -> str:
    """Return the text of `path`; a missing or unreadable file is the user's mistake, named as `what`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such {what}; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read this {what} ({error})") from error


def read_json(path: Path, what: str) -> Any:
    """Return the value of the JSON file `path`."""
    try:
        return json.loads(read_text(path, what))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: this {what} is not valid JSON ({error}); make it again") from error


def parse_yaml(text: str, where: str) -> Any:
    """Return the value of YAML (or JSON) `text`; only plain values are built, never objects."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        check_node(node, {})
        return loader.construct_document(node)
    # Not only YAML's own: a date or a number may be none, and lists may lie too deep in each other.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{where}: this is not valid YAML ({problem})") from error


def check_node(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Return how many values a part of a YAML document has once its aliases are written out.

    Raises:
        ValueError: they are absurdly many, a part contains itself, or a key stands in a mapping twice.
    """
    if node in sizes:
        return sizes[node]
    # A part that is met again before its size is known lies in itself.
    sizes[node] = MOST_VALUES
    parts = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for (_, key), count in Counter(keys).items() if count > 1]
        if twice:
            raise ValueError(f"the key {twice[0]} stands there twice")
        parts = [part for pair in node.value for part in pair]
    size = 1 + sum(check_node(part, sizes) for part in parts)
    if size > MOST_VALUES:
        raise ValueError(f"its aliases write out more than {MOST_VALUES} values, or a part lies in itself")
    sizes[node] = size
    return size


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
