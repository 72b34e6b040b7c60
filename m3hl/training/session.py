"""What stays as it is while a process trains a run, and what it makes of it for each stage."""

from dataclasses import dataclass
from typing import Any

import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.compute.team import Team
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batches
from m3hl.data.store import Store
from m3hl.inference.weights import members
from m3hl.methods.method import Method
from m3hl.training.curves import Curves
from m3hl.training.interruption import Interruption
from m3hl.training.state import Training
from m3hl.training.validation import Validation

MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}
"""Order of the weights in memory, by dimension: a quarter faster with few channels on a CPU."""


@dataclass(frozen=True)
class Session:
    """What stays as it is while a process trains a run; only the first of a team validates and saves.

    Attributes:
        settings: all that decides the outcome.
        store: the data set.
        label: name of the run in progress lines.
        execution: where and how to compute.
        team: the processes that train the run.
        stages: number of stages.
        iterations: of all stages.
        validation: None in other processes than the first; so is `board`.
        board: TensorBoard's curves.
        interruption: notes a signal.
    """

    settings: RunSettings
    store: Store
    label: str
    execution: Execution
    team: Team
    stages: int
    iterations: int
    validation: Validation | None
    board: Curves | None
    interruption: Interruption

    @property
    def first(self) -> bool:
        """Return whether this process validates and saves."""
        return self.team.rank == 0


def prepared_method(session: Session, number: int) -> Method:
    """Return the networks of a stage, new, on the device."""
    settings, execution = session.settings, session.execution
    method = methods.build(settings, number)
    method.to(execution.device).train()
    # A network of a user's own may have parameters, or views, for which there is no such order.
    if settings.network is None:
        method.to(memory_format=MEMORY_FORMAT[settings.dimensions])
    networks = {**method.results(), **method.networks()}.values()
    parts = [part for network in networks for part in (network.members if members(network) > 1 else [network])]
    execution.prepare(list(dict.fromkeys(parts)), deterministic=settings.deterministic)
    return method


def load_batches(training: Training, session: Session) -> Batches:
    """Return the batches of a stage."""
    return Batches.load(
        session.store,
        session.settings,
        session.execution.device,
        (training.method.labeled_batch, training.method.unlabeled_batch),
        session.execution.budget(),
        stage=training.stage,
        iterations=training.length,
    )


def stage_label(training: Training, session: Session) -> str:
    """Return what progress lines call the run, and its stage where there are several."""
    if session.stages == 1:
        return session.label
    return f"{session.label} · stage {training.stage + 1} of {session.stages}, {training.method.stage}"


def start_line(training: Training) -> str:
    """Return what a run works on and with, and from where it goes on."""
    counts, machine = training.facts["counts"], training.checkpoints.arithmetic
    return (
        f"{counts['labeled_samples']} labeled and {counts['unlabeled_samples']} unlabeled samples, "
        f"{machine['device']}, threads {machine['threads']}"
        + (f", going on from iteration {training.iteration}" if training.iteration else "")
    )


def facts(batches: Batches, method: Method) -> dict[str, Any]:
    """Return which cases a run uses, how many samples and parameters it has, and where its images were."""
    result = next(iter(method.results().values()))
    counts = batches.facts["counts"] | {"parameters": sum(p.numel() for p in result.parameters())}
    return batches.facts | {"counts": counts, "images_in": batches.place}
