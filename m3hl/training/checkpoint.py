"""Checkpoints of a run in progress: everything that an interrupted run needs to end with the same bits."""

import logging
from pathlib import Path
from typing import Any

import torch

from m3hl.errors import UserError
from m3hl.training.weights import load_tensors, save_tensors

log = logging.getLogger(__name__)

FORMAT, VERSION = "m3hl-checkpoint", 1


class Checkpoints:
    """The newest checkpoint of a run and the one before it.

    Args:
        folder: where they lie; not a declared output, as Snakemake deletes those before a job starts.
        identity: what the run is (its settings and data, plain values); another run's checkpoint is refused.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.last, self.previous = folder / "last.pt", folder / "previous.pt"
        self.identity = identity

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` and the state of torch's random generators; the last checkpoint becomes the previous."""
        value = {"format": FORMAT, "version": VERSION, "identity": self.identity, "random": random_state()} | state
        if self.last.exists():
            self.last.replace(self.previous)
        save_tensors(self.last, value)

    def load(self) -> dict[str, Any] | None:
        """Return the newest whole state and restore torch's random generators; None where there is none.

        A damaged newest checkpoint is passed over with a warning.

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
                log.warning("warning: %s; going on from the one before", error)
                continue
            self._require_same_run(path, value["identity"])
            restore_random_state(value["random"])
            return value
        return None

    def _require_same_run(self, path: Path, found: dict[str, Any]) -> None:
        ours, theirs = flatten(self.identity), flatten(found)
        differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if differing:
            raise UserError(
                f"{path}: this checkpoint is of a run with other {', '.join(differing)}; "
                "delete the folder to start anew, or restore the settings to resume"
            )


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested plain values as one level, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= flatten(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat


def random_state() -> dict[str, Any]:
    """Return the states of torch's CPU and CUDA generators (dropout is all that draws from them)."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def restore_random_state(state: dict[str, Any]) -> None:
    """Put torch's generators back."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
