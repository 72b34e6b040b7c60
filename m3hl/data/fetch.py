"""One file over HTTP: resumed after a broken connection, retried, and compared with what is known about it."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.progress import Progress

log = logging.getLogger(__name__)

BLOCK = 2**16
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes that another try may mend."""
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        tries: attempts in a row that bring no byte before it is given up.
        stall: seconds without a byte after which an attempt counts as broken.
        pause: seconds before the second attempt; doubled after each further one.
    """

    tries: int = 5
    stall: float = 30.0
    pause: float = 1.0


PATIENT = Patience()


def fetch(
    session: requests.Session,
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    patience: Patience = PATIENT,
) -> None:
    """Bring `url` to `target`, which appears only when it is whole.

    What has arrived is kept beside `target` with the ending .part, also between runs, and continued by an HTTP
    range request; a server that ignores the range starts again from the first byte.

    Args:
        session: kept between files, so that connections are too.
        url: what to get.
        target: where it goes.
        size: its length in bytes, where it is known.
        sha256: its digest, where it is known.
        patience: how long the server is waited for.

    Raises:
        UserError: the file is not there, its length or content is wrong, or the server does not answer.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        receive_patiently(session, url, part, size, patience)
    except requests.RequestException as error:
        raise UserError(
            f"{url}: cannot be fetched ({type(error).__name__}); check the network and run it again: "
            "what has arrived is kept"
        ) from error
    except OSError as error:
        raise UserError(f"{target}: cannot write ({error.strerror}); check space and permissions") from error
    arrived = part.stat().st_size
    if size is not None and arrived != size:
        part.unlink()
        raise UserError(f"{url}: {arrived} bytes arrived, expected {size}; the server has another file")
    if sha256 is not None and sha256_file(part) != sha256:
        part.unlink()
        raise UserError(f"{url}: the SHA-256 of what arrived is not the expected one; the server has another file")
    part.replace(target)


def receive_patiently(
    session: requests.Session, url: str, part: Path, size: int | None, patience: Patience
) -> None:
    """Receive the rest of a file into `part`, in as many attempts as bring it forward."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if size is not None and before >= size:
            return
        try:
            receive(session, url, part, before, size, patience.stall)
            return
        except (*BROKEN, Incomplete) as error:
            grew = part.exists() and part.stat().st_size > before
            failures = 1 if grew else failures + 1
            if failures >= patience.tries:
                raise
            pause = patience.pause * 2 ** (failures - 1)
            log.info("%s: %s; next try in %.0f s", url, type(error).__name__, pause)
            time.sleep(pause)


def receive(session: requests.Session, url: str, part: Path, start: int, size: int | None, stall: float) -> None:
    """Append the bytes from `start` on to `part`.

    Raises:
        Incomplete: the connection ended early, or the server is busy.
        UserError: the server refuses.
    """
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with session.get(url, headers=headers, stream=True, timeout=stall) as answer:
        if answer.status_code == 416:
            # The kept part is no beginning of this file.
            part.unlink()
            raise Incomplete("range refused")
        if answer.status_code in PASSING:
            raise Incomplete(f"HTTP status {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise UserError(f"{url}: the server answers with HTTP status {answer.status_code}; check the address")
        if answer.status_code == 200:
            start = 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else size
        progress = Progress(f"fetch {part.stem}", total or 0, done=start)
        with part.open("ab" if start else "wb") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                start += len(block)
                if total and start < total:
                    progress.update(start, f"{start / 1e6:.0f} MB")
    if total is not None and start < total:
        raise Incomplete(f"{start} of {total} bytes")


class Incomplete(requests.RequestException):
    """An attempt that brought less than the whole file."""
