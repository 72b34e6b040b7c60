"""Where a data set's files come from: made, located or fetched, and then listed with their digests."""

import importlib
import logging
from collections.abc import Iterable
from pathlib import Path

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.data import archive, datasets, public
from m3hl.data.datasets.files import CaseFiles
from m3hl.data.inventory import Inventory, record_files
from m3hl.data.split import own_split
from m3hl.errors import UserError
from m3hl.files.atomic import make_folder

log = logging.getLogger(__name__)


def obtain(config: DatasetConfig, name: str, out: Path) -> Inventory:
    """Make, locate or fetch the files of a data set, and return their list.

    Args:
        config: the data set.
        name: what the configuration calls it.
        out: where the list will be written; phantoms go into a folder of that name without its ending.

    Raises:
        UserError: a file is missing and is not to be fetched, or cannot be.
    """
    root = config.require_path() or out.with_suffix("")
    if config.source == "phantom":
        importlib.import_module(f"m3hl.data.phantom.{config.kind}").make(config.phantom, root)
    elif config.download and config.source != "folder":
        fetch_missing(config, root)
    cases = list_cases(config, root)
    paths = [path for case in cases for path in case.all_paths()]
    require(paths, config, root)
    description = describe(config)
    folder = root.parent if config.source == "folder" else root
    return Inventory(
        dataset=name,
        kind=config.kind,
        source=config.source,
        folder=folder,
        license=description.license,
        citation=description.citation,
        files=record_files(folder, paths, f"list {name}"),
    )


def list_cases(config: DatasetConfig, folder: Path) -> list[CaseFiles]:
    """Return the files of every case; `folder` is where they are (unused for a CSV of your own).

    Raises:
        UserError: the folder is missing, or a file that names the cases is missing or wrong.
    """
    module = datasets.load(config.kind)
    if config.source == "folder":
        return module.folder_cases(config.require_path())
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; check path, or set download: true to fetch the files")
    return module.public_cases(folder) if config.source == "public" else module.raw_cases(folder)


def own_files(config: DatasetConfig) -> list[Path]:
    """Return the files that a user edits, so that an edit makes the list of files anew.

    These are a CSV and the images in it, or the split file in a data folder; the published files never change.

    Raises:
        UserError: a CSV is wrong or names a file that is not there.
    """
    if config.source != "folder":
        return list(own_split(config.path)) if config.path else []
    table = config.require_path()
    paths = list(dict.fromkeys(path for case in list_cases(config, table) for path in case.all_paths()))
    require(paths, config, table)
    return paths


def data_folders(configs: Iterable[DatasetConfig]) -> list[Path]:
    """Return the folders that hold the files of data sets, or will hold them: these are made."""
    folders: list[Path] = []
    for config in configs:
        if config.source == "folder":
            folders += [folder for path in own_files(config) for folder in (path.parent, path.resolve().parent)]
        elif config.path:
            if config.download:
                make_folder(config.path)
            folders.append(config.path)
    return list(dict.fromkeys(folders))


def require(paths: Iterable[Path], config: DatasetConfig, folder: Path) -> None:
    """Raise `UserError`, naming the first, when files are missing."""
    missing = [path for path in dict.fromkeys(paths) if not path.is_file()]
    if not missing:
        return
    more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
    where = f"{config.path} names it" if config.source == "folder" else f"{folder} must hold it"
    raise UserError(f"{missing[0]}: there is no such file{more}; {where}: put it there or correct the path")


def fetch_missing(config: DatasetConfig, folder: Path) -> None:
    """Fetch what is not yet in `folder`, after showing where it comes from and under which terms."""
    module = datasets.load(config.kind)
    source = module.PUBLIC if config.source == "public" else module.RAW
    log.info("%s: from %s", config.kind, source.page)
    log.info("Terms of use: %s. By setting download: true you accept them.", source.terms)
    if config.source == "public":
        public.fetch_public(module, config.kind, folder)
    else:
        archive.fetch_raw(module, config.kind, folder)
