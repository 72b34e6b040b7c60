"""Checkpoints of a run in progress: everything that an interrupted run needs to end with the same bits."""

import logging
import time
from pathlib import Path
from typing import Any

import torch

from m3hl.errors import UserError
from m3hl.files.atomic import make_folder, write_json
from m3hl.files.digests import sha256_json
from m3hl.files.reading import read_json
from m3hl.files.tensors import load_tensors, save_tensors

log = logging.getLogger(__name__)

FORMAT, VERSION = "m3hl-checkpoint", 3
IDENTITY = "identity.json"
MISFITS = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError)
"""How a state fails that is none of this run's."""
SHARE = 19
"""Time between two checkpoints, in times that writing one takes: on a GPU a validation comes every few seconds."""


class Checkpoints:
    """The newest checkpoint of a run and the one before it, in a folder that is named by the run's digest.

    An edited setting therefore starts anew and leaves the old checkpoint alone; taken back, it goes on there.
    The workflow deletes all of a run's checkpoints once it is evaluated.

    Args:
        work: where the folder lies; not a declared output, as Snakemake deletes those before a job starts.
        identity: what the run is (settings, data and code, plain values); another run's checkpoint is refused.
        arithmetic: what the last bits depend on (device, threads); a change is warned of.
    """

    def __init__(self, work: Path, identity: dict[str, Any], arithmetic: dict[str, Any]) -> None:
        self.folder = work / sha256_json(identity)[:12]
        make_folder(self.folder)
        self.new, self.last, self.previous, self.damaged = (
            self.folder / f"{name}.pt" for name in ("new", "last", "previous", "damaged")
        )
        self.identity, self.arithmetic = identity, arithmetic
        self._saved, self._cost = time.monotonic(), 0.0

    @property
    def due(self) -> bool:
        """Return whether it is time to save again, so that saving takes a twentieth of a run at most."""
        return time.monotonic() - self._saved >= SHARE * self._cost

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` and the state of torch's random generators; the last checkpoint becomes the previous."""
        begun = time.monotonic()
        value = {
            "format": FORMAT,
            "version": VERSION,
            "identity": self.identity,
            "arithmetic": self.arithmetic,
            "random": random_state(),
        } | state
        if not (self.folder / IDENTITY).exists():
            write_json(self.folder / IDENTITY, self.identity)
        # The new one is whole before the last one moves: at every moment there is one to go on from.
        save_tensors(self.new, value)
        if self.last.exists():
            self.last.replace(self.previous)
        self.new.replace(self.last)
        self._saved = time.monotonic()
        self._cost = self._saved - begun

    def load(self) -> dict[str, Any] | None:
        """Return the newest whole state; None where there is none.

        A damaged newest checkpoint is put aside with a warning.

        Raises:
            UserError: a checkpoint belongs to a run with other settings; the message names the keys.
        """
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            try:
                value = load_tensors(path, "checkpoint")
                if value.get("format") != FORMAT or value.get("version") != VERSION:
                    raise UserError(f"{path}: this is no checkpoint of this version of m3hl")
            except UserError as error:
                log.warning("warning: %s; going on from an older one, or anew", error)
                # Else the next save would make it the previous one, in place of a whole one.
                path.replace(self.damaged)
                continue
            try:
                self._require_same_run(path, value["identity"])
                if keys := differing(self.arithmetic, value["arithmetic"]):
                    log.warning("warning: %s was written with other %s: the last bits may differ", path, keys)
            except MISFITS as error:
                raise misfit(path) from error
            return value
        self._mention_others()
        return None

    def discard(self) -> None:
        """Delete the checkpoints of a run whose results are written."""
        # A process that was killed while it wrote leaves a part behind.
        for path in (*self.folder.glob("*.pt"), *self.folder.glob(".*.part"), self.folder / IDENTITY):
            path.unlink(missing_ok=True)

    def _require_same_run(self, path: Path, found: dict[str, Any]) -> None:
        if keys := differing(self.identity, found):
            raise UserError(
                f"{path}: this checkpoint is of a run with other {keys}; delete it, or restore these to resume"
            )

    def _mention_others(self) -> None:
        for path in sorted(self.folder.parent.glob(f"*/{IDENTITY}")):
            try:
                keys = differing(self.identity, read_json(path, "identity of a run"))
            except UserError as error:
                keys = f"settings ({error})"
            if keys:
                log.info("%s: not taken up, it is of a run with other %s; starting anew", path.parent, keys)


def misfit(path: Path) -> UserError:
    """Return what is said of a whole checkpoint whose content no training writes."""
    return UserError(f"{path}: this checkpoint does not fit the run; delete it to start anew")


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Return the dotted keys whose values differ, with commas between them."""
    a, b = flatten(ours), flatten(theirs)
    return ", ".join(sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key)))


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested plain values as one level, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= flatten(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat


def random_state() -> dict[str, Any]:
    """Return the states of torch's CPU and CUDA generators (dropout is all that draws from them)."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Put torch's generators back."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
