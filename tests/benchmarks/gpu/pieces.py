"""A file cut into pieces that travel one by one: NAME.DIGEST.1-of-3 and so on."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from m3hl.errors import UserError
from m3hl.files.atomic import atomic, make_folder, write_bytes
from m3hl.files.digests import sha256_file

PIECE = re.compile(r"(?P<name>.+)\.(?P<digest>[0-9a-f]{12})\.(?P<number>\d+)-of-(?P<count>\d+)")
Bundle = tuple[str, str]
"""Name, and the first 12 digits of the SHA-256 of the whole."""


def cut(file: Path, folder: Path, name: str, size: int) -> Bundle:
    """Write pieces of at most `size` bytes into `folder`."""
    make_folder(folder)
    digest, count = sha256_file(file)[:12], max(1, -(-file.stat().st_size // size))
    with file.open("rb") as whole:
        for number in range(1, count + 1):
            write_bytes(folder / f"{name}.{digest}.{number}-of-{count}", whole.read(size))
    return name, digest


def bundles(folder: Path) -> dict[Bundle, list[Path]]:
    """Return the pieces of every file whose pieces are all there, in order."""
    found: dict[tuple[str, str, int], dict[int, Path]] = defaultdict(dict)
    for path in folder.rglob("*-of-*"):
        if match := PIECE.fullmatch(path.name):
            found[match["name"], match["digest"], int(match["count"])][int(match["number"])] = path
    return {
        (name, digest): [pieces[number] for number in sorted(pieces)]
        for (name, digest, count), pieces in found.items()
        if len(pieces) == count
    }


def require_whole(folder: Path, names: Iterable[str]) -> None:
    """Raise `UserError` where there are pieces of a name, and of no file of that name all."""
    begun = {match["name"] for path in folder.rglob("*-of-*") if (match := PIECE.fullmatch(path.name))}
    for name in sorted(begun & set(names) - {name for name, _ in bundles(folder)}):
        raise UserError(f"{folder}: pieces of {name} are missing; bring every one of {name}.*, or none")


def join(pieces: list[Path], out: Path) -> None:
    """Put a file together; raises `UserError` where it is not the one that was cut."""
    with atomic(out) as part:
        with part.open("wb") as whole:
            for piece in pieces:
                whole.write(piece.read_bytes())
        digest = PIECE.fullmatch(pieces[0].name)["digest"]
        if not sha256_file(part).startswith(digest):
            raise UserError(f"{pieces[0].parent}: the pieces of {digest} are damaged; bring them again")
