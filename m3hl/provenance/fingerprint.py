"""Digests of the source that a stage runs, so that an edit makes again what reads it, and nothing else.

A stage's source is everything that its modules import from this package, found in the syntax tree, with the
data files of the packages on the way. Comments, docstrings and white space do not count. A method from outside
(`m3hl.config.outside`) imports from this package and from its own.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from m3hl.config import outside

ROOT = Path(__file__).resolve().parents[1]
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
MARKS = {tokenize.NEWLINE: "\n", tokenize.INDENT: "{", tokenize.DEDENT: "}"}
F_STRING = (getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None))


def sources(modules: Iterable[str]) -> dict[str, str]:
    """Return the digest of each file of some modules and of all they import, by its path in this package.

    Files from outside have names of their own (`m3hl.config.outside.label`), which none here can have.
    """
    files = {called(name, path): path for name in closure(modules) for path in files_of(name)}
    return {label: file_digest(files[label]) for label in sorted(files)}


def fingerprint(modules: Iterable[str]) -> str:
    """Return one digest of some modules of this package, such as "m3hl.commands.train", and all they import."""
    lines = [f"{path} {digest}\n" for path, digest in sources(modules).items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def called(name: str, path: Path) -> str:
    """Return what a file of a module is called in records."""
    package = name.partition(".")[0]
    return path.relative_to(ROOT).as_posix() if package == ROOT.name else outside.label(package, path)


def package_digest() -> str:
    """Return one digest of the whole package."""
    return fingerprint(every_module())


def every_module() -> Iterator[str]:
    """Yield the name of every module and package of this package."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def closure(modules: Iterable[str]) -> set[str]:
    """Return the modules, their packages, and all that these import from this package, directly or not.

    Those from outside also import from their own.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            parent = name.rpartition(".")[0]
            waiting += [parent] * (parent != "" and source(parent) is not None)
            waiting += imports(name)
    return found


@cache
def imports(name: str) -> tuple[str, ...]:
    """Return the modules of this package and of its own that a module imports, also inside functions."""
    file, candidates = source(name), []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            candidates += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package that the module is in, each further one the package around it.
            up = node.level - (file.name == "__init__.py")
            base = name.split(".")[: len(name.split(".")) - up] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            candidates += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    packages = {ROOT.name, name.partition(".")[0]}
    return tuple(dict.fromkeys(c for c in candidates if c.partition(".")[0] in packages and source(c)))


def source(name: str) -> Path | None:
    """Return the file of a module or package, None where there is none."""
    package, *parts = name.split(".")
    return outside.source_in(ROOT, package, parts) if package == ROOT.name else outside.source(name)


def files_of(name: str) -> list[Path]:
    """Return a module's file; for a package also the data files in its folders that are no packages."""
    path = source(name)
    if path.name != "__init__.py":
        return [path]
    folders = [f for f in path.parent.iterdir() if f.is_dir() and f.name != "__pycache__"]
    plain = [folder for folder in folders if not (folder / "__init__.py").exists()]
    return [path, *(file for folder in plain for file in folder.rglob("*") if file.is_file())]


@cache
def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; of Python source, that of its significant tokens."""
    content = path.read_bytes()
    if path.suffix == ".py":
        content = "\0".join(significant(content.decode())).encode()
    return hashlib.sha256(content).hexdigest()


def significant(text: str) -> Iterator[str]:
    """Yield the tokens of Python source without comments, docstrings and layout, the same in every version."""
    previous = "\n"
    tokens = [token for token in joined_f_strings(text) if token[0] not in LAYOUT]
    for (kind, string), (following, _) in zip(tokens, [*tokens, (tokenize.NEWLINE, "")][1:], strict=True):
        mark = MARKS.get(kind, string)
        statement = previous in ("\n", "{", "}") and following == tokenize.NEWLINE
        if not (kind == tokenize.STRING and statement) and not (mark == previous == "\n"):
            yield mark
            previous = mark


def joined_f_strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield type and text of each token; an f-string is one token, as it was before Python 3.12."""
    lines = text.splitlines(keepends=True)
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == F_STRING[0]:
            start = start if depth else token.start
            depth += 1
        if depth == 0:
            yield token.type, token.string
        if token.type == F_STRING[1]:
            depth -= 1
            if depth == 0:
                yield tokenize.STRING, segment(lines, start, token.end)


def segment(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the text between two places (row from 1, column from 0)."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    whole = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *whole, lines[end[0] - 1][: end[1]]])
