"""One process at a time in a folder."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from m3hl.errors import UserError
from m3hl.files.atomic import make_folder

log = logging.getLogger(__name__)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder: two processes that train one run would mix their checkpoints.

    Raises:
        UserError: another process holds it; one that was killed holds nothing.
    """
    make_folder(folder)
    path = folder / "lock"
    with opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())):
                # Whoever held it has ended in this moment, and has taken the file away.
                raise BlockingIOError
        except BlockingIOError:
            file.seek(0)
            who = file.read(200).strip() or "another process"
            raise UserError(f"{folder}: {who} works on this run; wait until it ends, or stop it") from None
        except OSError as error:
            # Not every network's file system can.
            log.warning("warning: %s: cannot be locked (%s); start one process only", folder, error.strerror)
        # Who holds it is only for the message above.
        with suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_held(folder: Path) -> bool | None:
    """Return whether a process holds a folder; None where that cannot be told, as there is no lock or none can be.

    Looking takes the lock for a moment, so it is for folders that seem to be left alone.
    """
    try:
        with (folder / "lock").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def opened(path: Path) -> TextIO:
    """Return a file that is read and added to; raises `UserError` where that is not allowed."""
    try:
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot write this file ({error.strerror}); delete it, check space") from error
