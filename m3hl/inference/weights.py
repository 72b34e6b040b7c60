"""best.pt: the selected network, with all that is needed to apply it."""

import json
import logging
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from m3hl import nets
from m3hl.config.dataset import DatasetConfig
from m3hl.config.run import RunSettings
from m3hl.data.frame import Frame
from m3hl.data.seen import Seen
from m3hl.errors import UserError
from m3hl.files.tensors import load_tensors, save_tensors
from m3hl.inference.network import new_network
from m3hl.provenance.stages import network_digest

log = logging.getLogger(__name__)

FORMAT, VERSION = "m3hl-weights", 1
MOST_MEMBERS = 16
MISFITS = (ValueError, KeyError, RuntimeError, TypeError, AttributeError)
"""How content fails that no run writes."""


class Weights:
    """A trained network and the settings that it was trained with.

    Attributes:
        settings: the run's settings.
        dataset: the data set's configuration (kind, classes, normalisation).
        network: the selected network or ensemble, in evaluation mode.
        selection: rule, iteration and Dice of the selection.
        frame: the geometry of the volumes that it was trained on.
        seen: what these were like, None where it is not known.
        network_source: digest of the source of a network of a user's own, None for one of ours.
        others: what the method selects besides, by name: measured beside the network, never predicted with.
    """

    def __init__(
        self, settings: RunSettings, dataset: DatasetConfig, network: nn.Module, selection: dict[str, Any]
    ) -> None:
        self.settings, self.dataset, self.network, self.selection = settings, dataset, network, selection
        self.frame = Frame()
        self.seen: Seen | None = None
        self.network_source = network_digest(settings.network)
        self.others: dict[str, Self] = {}

    def save(self, path: Path) -> None:
        """Write the weights to `path` atomically."""
        facts: dict[str, Any] = {
            "settings": self.settings.model_dump(mode="json"),
            "dataset": self.dataset.model_dump(mode="json", exclude_defaults=True),
            **self.choice(),
        }
        if self.frame != Frame():
            facts["frame"] = asdict(self.frame)
        if self.seen:
            facts["seen"] = asdict(self.seen)
        if self.network_source:
            facts["network_source"] = self.network_source
        states = {"network": self.network.state_dict()}
        if self.others:
            facts["others"] = {name: other.choice() for name, other in self.others.items()}
            states["others"] = {name: other.network.state_dict() for name, other in self.others.items()}
        # As text: pickle's bytes tell which of two equal strings are one object, and that is chance.
        save_tensors(path, {"format": FORMAT, "version": VERSION, "facts": json.dumps(facts)} | states)

    def choice(self) -> dict[str, Any]:
        """Return which weights these are, and of how many networks."""
        count = members(self.network)
        return {"selection": self.selection, **({"members": count} if count > 1 else {})}

    @classmethod
    def build(
        cls,
        settings: RunSettings,
        dataset: DatasetConfig,
        state: dict[str, Tensor],
        selection: dict[str, Any],
        count: int = 1,
    ) -> Self:
        """Return weights whose network has the parameters and running statistics in `state`.

        Args:
            settings: the run's.
            dataset: the data set's configuration.
            state: of the network, or of the ensemble.
            selection: rule, iteration and Dice of the selection.
            count: members of the ensemble, 1 for a single network.
        """
        network = new_network(settings, count)
        network.load_state_dict(state)
        return cls(settings, dataset, network.eval(), selection)

    @classmethod
    def load(cls, path: Path, networks: Collection[str] = ()) -> Self:
        """Read the weights of a run.

        Args:
            path: best.pt.
            networks: those of a user's own whose code may be run, as the file may be a stranger's. A single one
                serves whatever the file calls it.

        Raises:
            UserError: the file is missing, damaged or foreign, or its network is none of these.
        """
        value = load_tensors(path, "weights file")
        if value.get("format") != FORMAT or value.get("version") != VERSION:
            raise UserError(f"{path}: this is no weights file of this version of m3hl; use a run's best.pt")
        try:
            facts = json.loads(value["facts"])
            # The file may be a stranger's, and the method's name one of a file of his.
            settings = RunSettings.model_validate(facts["settings"], context={"untrusted": True})
            dataset = DatasetConfig.model_validate(facts["dataset"])
        except (*MISFITS, UserError) as error:
            raise misfit(path) from error
        settings = with_trusted(settings, networks, path)
        try:

            def fitting(state: dict[str, Tensor], choice: dict[str, Any]) -> Self:
                count = choice.get("members", 1)
                require_fitting(settings, state, count)
                return cls.build(settings, dataset, state, choice["selection"], count)

            weights = fitting(value["network"], facts)
            weights.network_source = TypeAdapter(str | None).validate_python(facts.get("network_source"))
            weights.frame = TypeAdapter(Frame).validate_python(facts.get("frame", {}))
            weights.seen = TypeAdapter(Seen | None).validate_python(facts.get("seen"))
            if weights.seen and len(weights.seen.levels) != 3 * settings.inputs:
                raise ValueError("intensities of another number of images")
            choices = facts.get("others", {})
            weights.others = {name: fitting(value["others"][name], choice) for name, choice in choices.items()}
        except MISFITS as error:
            if settings.network:
                raise UserError(
                    f"{path}: these weights are not of the network {settings.network} as it is now; name the one "
                    "that they were trained with (--network), or take back what has been edited since"
                ) from error
            raise misfit(path) from error
        if weights.network_source != network_digest(settings.network):
            log.warning("%s: %s has changed since these weights were trained with it", path, settings.network)
        return weights


def with_trusted(settings: RunSettings, networks: Collection[str], path: Path) -> RunSettings:
    """Return settings whose network is none of a user's own, or one whose code may be run."""
    if settings.network is None or settings.network in networks:
        return settings
    if len(networks) == 1:
        return settings.model_copy(update={"network": next(iter(networks))})
    raise UserError(
        f"{path}: these weights are of a network of their own, {settings.network!r}, whose code would be run; if "
        "you trust it, say so: by --network, or by network: in the configuration"
    )


def misfit(path: Path) -> UserError:
    """Return what is said of a whole file whose content fits nothing."""
    return UserError(f"{path}: the weights do not fit their own settings; train the run again")


def members(network: nn.Module) -> int:
    """Return how many networks make a prediction together."""
    return len(network.members) if isinstance(network, nets.Ensemble) else 1


def require_fitting(settings: RunSettings, state: dict[str, Tensor], count: int) -> None:
    """Raise `ValueError` unless parameters are of the network, or so many of them, that the settings describe."""
    if not 1 <= count <= MOST_MEMBERS:
        raise ValueError("no ensemble has so many members")
    # Ours are made without memory, as a file may ask for any number of channels; others may not know how.
    with nullcontext() if settings.network else torch.device("meta"):
        network = new_network(settings, count)
    if {k: v.shape for k, v in network.state_dict().items()} != {k: v.shape for k, v in state.items()}:
        raise ValueError("parameters of another network")
