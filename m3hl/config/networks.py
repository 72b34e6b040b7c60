"""Networks of a user's own that a configuration names: `./FILE.py` or `PACKAGE.MODULE:CLASS`.

Without a colon the class is called `Network`. It is called with `spatial_dims`, `in_channels` and `out_channels`,
as MONAI calls them, and returns logits (B, C, *) of images (B, I, *).
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from m3hl.config import outside
from m3hl.errors import UserError, is_out_of_memory

CLASS = "Network"


def place(name: str) -> tuple[str, str]:
    """Return the file or module of a network, and its class."""
    where, _, kind = name.partition(":")
    return where, kind or CLASS


def module_path(name: str) -> str:
    """Return the full name of the module of a network; nothing is read."""
    where, _ = place(name)
    return outside.module_of(where) if outside.is_path(where) else where


def shown(name: str) -> str:
    """Return what an error calls a network: its file, or its whole name."""
    where, _ = place(name)
    return where if outside.is_path(where) else name


def require_there(name: str) -> None:
    """Raise `UserError` unless the file or module of a network is on this machine; nothing of it is run."""
    where, _ = place(name)
    if outside.is_path(where):
        outside.require_file(where)
    elif outside.source(module_path(name)) is None:
        raise UserError(
            f"network {name}: there is no module {where} on {platform.node()}{outside.in_container()}; a file is "
            "named by its path, ./FILE.py, and a package must be installed here, and where runs compute"
        )


def load(name: str) -> Callable[..., Any]:
    """Return the class of a network; raises `UserError` where it cannot be imported, or is not there."""
    require_there(name)
    where, kind = place(name)
    module = outside.load_file(where) if outside.is_path(where) else outside.load(where, name)
    if not isinstance(found := getattr(module, kind, None), type):
        raise UserError(f"network {name}: there is no class {kind} in {where}; name another, {where}:CLASS")
    return found


def blamed(name: str | None) -> AbstractContextManager[None]:
    """Return a context in which an exception out of a network becomes one line; ours (None) keep theirs."""
    return nullcontext() if name is None else outside.blamed(module_path(name), shown(name))


@contextmanager
def answerable(name: str) -> Iterator[None]:
    """Turn every exception into one line that names a network: nothing else is done within.

    Also those that come from torch alone, such as those of a layer that a network only holds.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        said = outside.fault(error, module_path(name).partition(".")[0], shown(name))
        raise UserError(f"network {said}") from error
