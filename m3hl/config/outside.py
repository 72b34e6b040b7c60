"""Code of a user's own that a configuration names: a file, or a module of an installed package.

A file is imported as a part of a package that is its folder, under a name that no other folder has. So what lies
beside it is imported with a dot (`from .losses import f`), files of the same name do not meet, and nothing of the
folder hides a library.
"""

import hashlib
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import ModuleType

from m3hl.errors import UserError, is_out_of_memory

PREFIX = "m3hl_beside_"
"""How the name of a package begins that is the folder of a file."""
_folders: dict[str, Path] = {}


def is_path(name: str) -> bool:
    """Return whether a name in a configuration is that of a file."""
    return name.endswith(".py")


def module_of(path: str) -> str:
    """Return the name under which a file is imported; nothing is read."""
    file = Path(os.path.abspath(path))  # noqa: PTH100 (links stay)
    package = PREFIX + hashlib.sha256(str(file.parent).encode()).hexdigest()[:12]
    _folders[package] = file.parent
    return f"{package}.{file.stem}"


def load_file(path: str) -> ModuleType:
    """Return the module in a file; raises `UserError` where there is none, or where it cannot be imported."""
    require_file(path)
    return load(module_of(path), path)


def require_file(path: str) -> None:
    """Raise `UserError` where there is no such file, or none that can be imported."""
    if not Path(path).is_file():
        raise UserError(
            f"{path}: there is no such file from {Path.cwd()} on {platform.node()}{in_container()}; correct the "
            "path, which is relative to the working directory, or put the file where every machine and container "
            "of the run sees it"
        )
    if "." in Path(path).stem:
        raise UserError(f"{path}: a dot in its name keeps this file from being imported; rename it")


def in_container() -> str:
    """Return in words which container this is, "" for none."""
    image = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    return f", in the container {image}" if image else ""


def load(name: str, shown: str) -> ModuleType:
    """Return a module; raises `UserError`, which begins with `shown`, where it cannot be imported."""
    package = name.partition(".")[0]
    if package in _folders and package not in sys.modules:
        sys.modules[package] = module = ModuleType(package)
        module.__path__ = [str(_folders[package])]
    # Python takes what it has compiled for up to date within the second in which a file is edited.
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return importlib.import_module(name)
    except UserError:
        raise
    except Exception as error:
        raise UserError(fault(error, package, shown)) from error
    finally:
        sys.dont_write_bytecode = kept


@contextmanager
def blamed(name: str, shown: str) -> Iterator[None]:
    """Turn an exception that passes through the package of a module into one line; others are ours.

    Args:
        name: of the module.
        shown: what its user calls it.
    """
    package = name.partition(".")[0]
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or frame_of(error, package) is None:
            raise
        raise UserError(fault(error, package, shown)) from error


def fault(error: Exception, package: str, shown: str) -> str:
    """Return in one line, which begins with `shown`, where an exception comes from and what it says."""
    said = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{placed(shown, Path(error.filename).name, f'line {error.lineno}')}: {what}"
    if isinstance(error, ModuleNotFoundError) and (beside := _folders.get(package)):
        first = (error.name or "").partition(".")[0]
        if (beside / f"{first}.py").is_file() or (beside / first / "__init__.py").is_file():
            what += f" (it lies beside this file: import it with a dot, from .{first} import …)"
    place = frame_of(error, package)
    return f"{placed(shown, *place) if place else shown}: {what}"


def placed(shown: str, file: str, line: str) -> str:
    """Return the name of a method with a place in its source."""
    return f"{shown}, {line}" if Path(shown).name == file else f"{shown}: {file}, {line}"


def frame_of(error: Exception, package: str) -> tuple[str, str] | None:
    """Return the innermost place of an exception within a package: the file, and line and function."""
    places = [
        (
            Path(frame.f_code.co_filename).name,
            f"line {line}, in {frame.f_code.co_name}".removesuffix(", in <module>"),
        )
        for frame, line in walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    return places[-1] if places else None


def root(package: str) -> Path | None:
    """Return the folder of a package of one name, or the file of a module; None where there is none."""
    if package in _folders:
        return _folders[package]
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]) if folders else Path(spec.origin or "")


def source(name: str) -> Path | None:
    """Return the file of a module or package, None where there is none; nothing is imported."""
    package, *parts = name.split(".")
    return source_in(root(package), package, parts)


def source_in(folder: Path | None, package: str, parts: list[str]) -> Path | None:
    """Return the same for a package whose folder (or file, or None) is known."""
    if folder is None or folder.is_file():
        return folder if not parts else None
    path = folder.joinpath(*parts)
    # The folder of a user's file is no package of its own making: nothing in it is imported unasked.
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() and (parts or not package.startswith(PREFIX)) else None


def label(package: str, file: Path) -> str:
    """Return what a source file is called in records, the same on every machine.

    One beside a configuration is called by its path from the working directory, "./NAME.py"; one of an installed
    package "PACKAGE:PATH".
    """
    if package in _folders:
        path = Path(os.path.relpath(file)).as_posix()
        return path if path.startswith("../") else f"./{path}"
    folder = root(package)
    return f"{package}:{file.relative_to(folder).as_posix() if folder and folder.is_dir() else file.name}"


def is_label(name: str) -> bool:
    """Return whether a source file's name in a record is such a label."""
    return name.startswith(("./", "../")) or ":" in name


def labeled(label: str) -> Path | None:
    """Return the file of such a label, None where there can be none."""
    if label.startswith(("./", "../")):
        return Path(label) if is_path(label) else None
    package, _, path = label.partition(":")
    folder = root(package)
    if folder is None:
        return None
    file = (folder / path).resolve() if folder.is_dir() else folder
    return file if file.is_relative_to(folder.resolve()) else None
