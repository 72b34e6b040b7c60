"""The field's preprocessed HDF5 files, fetched one by one and compared with the package's manifest."""

from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import requests

from m3hl.data.fetch import PATIENT, Patience, fetch
from m3hl.data.manifest import read_manifest
from m3hl.data.split import read_split
from m3hl.progress import Progress


def fetch_public(
    module: ModuleType,
    kind: str,
    folder: Path,
    *,
    base: str | None = None,
    patience: Patience = PATIENT,
) -> None:
    """Fetch the public files that are not yet in `folder`, of the cases in its split.

    Args:
        module: the data set's module.
        kind: its name.
        folder: where the files go.
        base: address before the manifest's paths; left out, the data set's own.
        patience: how long the server is waited for.

    Raises:
        UserError: a file is not there, is not the published one, or the server does not answer.
    """
    groups = read_split(folder, kind)
    wanted = {
        module.public_file(folder, name): entry
        for name, entry in read_manifest(kind).items()
        if name.partition("_frame")[0] in groups
    }
    missing = {path: entry for path, entry in wanted.items() if not path.is_file()}
    progress = Progress(f"fetch {kind}", len(wanted), done=len(wanted) - len(missing))
    with requests.Session() as session:
        for path, entry in missing.items():
            url = (base or module.PUBLIC.url) + quote(entry.path)
            fetch(session, url, path, size=entry.bytes, sha256=entry.sha256, patience=patience)
            progress.update(progress.done + 1)
