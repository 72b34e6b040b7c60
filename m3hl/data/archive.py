"""A challenge's own archive: fetched, and unpacked only where a data set needs it."""

import logging
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType

import requests

from m3hl.data.fetch import PATIENT, Patience, fetch
from m3hl.errors import UserError
from m3hl.files.atomic import atomic
from m3hl.files.digests import sha256_file
from m3hl.progress import Progress

log = logging.getLogger(__name__)


def fetch_raw(
    module: ModuleType,
    kind: str,
    folder: Path,
    *,
    url: str | None = None,
    patience: Patience = PATIENT,
) -> None:
    """Fetch a data set's own archive and unpack what is needed, unless `folder` is complete.

    Args:
        module: the data set's module.
        kind: its name.
        folder: where the files go; the archive is kept there until it is unpacked.
        url: the archive; left out, the data set's own.
        patience: how long the server is waited for.

    Raises:
        UserError: the data set has no direct address, the server does not answer, or the archive is damaged.
    """
    if complete(module, folder):
        return
    url = url or module.RAW.url
    if url is None:
        raise UserError(
            f"{kind}: its raw files have no direct address; get them by hand from {module.RAW.page}, "
            f"unpack them into {folder} and leave download out"
        )
    target = folder / f"{kind}.zip"
    if not target.is_file():
        with requests.Session() as session:
            fetch(session, url, target, patience=patience)
    if module.RAW.sha256 and sha256_file(target) != module.RAW.sha256:
        # The server packs the archive anew for each request, so its bytes may change while the files do not.
        log.warning("%s: not the archive that is known; its files are checked one by one", target)
    unpack(target, folder, module)
    target.unlink()


def complete(module: ModuleType, folder: Path) -> bool:
    """Return whether every raw file of the data set is in `folder`."""
    try:
        cases = module.raw_cases(folder)
    except UserError:
        return False
    return all(path.is_file() for case in cases for path in case.all_paths())


def unpack(archive: Path, folder: Path, module: ModuleType) -> None:
    """Write the members that a data set needs into `folder`; the archive's CRC of each is compared.

    Raises:
        UserError: the archive or a member is damaged, or a member would land outside of `folder`.
    """
    remedy = "delete it and run m3hl download again"
    try:
        with zipfile.ZipFile(archive) as file:
            members = list(needed_members(file, archive, module))
            if not members:
                raise UserError(f"{archive}: holds none of the files that are needed; {remedy}")
            progress = Progress(f"unpack {archive.name}", len(members))
            for done, (member, name) in enumerate(members, start=1):
                # Reading a member to its end compares its CRC.
                with file.open(member) as source, atomic(folder / name) as part, part.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                progress.update(done)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive}: the archive is damaged ({error}); {remedy}") from error


def needed_members(
    file: zipfile.ZipFile, archive: Path, module: ModuleType
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Yield the members that the data set asks for, and where they belong below its folder."""
    for member in file.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{archive}: the member {member.filename} leads outside of the folder; do not use it")
        name = module.raw_member(path)
        if name is not None and stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{archive}: the member {member.filename} is a link, not a file; do not use it")
        if name is not None and not member.is_dir():
            yield member, name
