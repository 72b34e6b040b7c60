"""The part of a result's record by which it can be checked later: source, configuration and digests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from m3hl.config.experiment import Config
from m3hl.files.digests import relative, sha256_file
from m3hl.provenance.fingerprint import sources
from m3hl.provenance.stages import modules


class Seal:
    """What a stage reads, noted when it begins: both source and inputs may change while it works.

    Args:
        record: the file that the seal goes to; paths are relative to its folder, so that results can be copied.
        config: the study, or what the stage reads of it.
        stage: "download", "preprocess", "train", "evaluate" or "report".
        dataset, method: what the stage is for (None: all).
        inputs: files.
    """

    def __init__(
        self,
        record: Path,
        config: Config,
        stage: str,
        dataset: str | None = None,
        method: str | None = None,
        *,
        inputs: Iterable[Path] = (),
    ) -> None:
        self._folder = record.parent
        self._noted = {
            "stage": stage,
            "config": config.model_dump(mode="json", exclude_defaults=True),
            "sources": sources(modules(config, stage, dataset, method)),
            "inputs": digests(inputs, self._folder),
        }

    def digest(self, file: Path) -> str:
        """Return the SHA-256 that an input had when the stage began."""
        return self._noted["inputs"][relative(file, self._folder)]

    def record(self, outputs: Iterable[Path]) -> dict[str, Any]:
        """Return the seal, with the digests of what the stage has written."""
        return self._noted | {"outputs": digests(outputs, self._folder)}


def beside(result: Path) -> Path:
    """Return the file for the record of a result that must be the same bytes whoever makes it."""
    return result.with_name(f"{result.name}.provenance")


def digests(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that is there, by its path relative to a folder."""
    return {relative(file, folder): sha256_file(file) for file in files if file.is_file()}
