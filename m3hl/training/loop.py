"""Training, from the first iteration or from a checkpoint to the last."""

import logging
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.compute.team import Team
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batches
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.methods.method import Method
from m3hl.progress import Progress
from m3hl.training.checkpoint import MISFITS, Checkpoints, misfit
from m3hl.training.curves import Curves
from m3hl.training.history import History
from m3hl.training.interruption import SAVED, Interrupted, Interruption
from m3hl.training.optimization import learning_rate, sgd, step
from m3hl.training.pseudo_labels import PseudoLabelCheck
from m3hl.training.selection import Selection
from m3hl.training.state import Training
from m3hl.training.validation import Validation

log = logging.getLogger(__name__)

ROWS_PER_VALIDATION = 5
"""Rows of the learning curve from one validation to the next."""
MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}
"""Order of the weights in memory, by dimension: a quarter faster with few channels on a CPU."""


def train(
    settings: RunSettings,
    store: Store,
    *,
    label: str,
    work: Path,
    execution: Execution,
    code: str,
    team: Team | None = None,
) -> Training:
    """Train one run; what an interrupted one left in `work` is taken up where it stopped.

    Args:
        settings: all that decides the outcome.
        store: the data set.
        label: name of the run in progress lines.
        work: folder of checkpoints and TensorBoard logs.
        execution: where and how to compute.
        code: digest of the source; a checkpoint that other source wrote is not taken up.
        team: the processes that train the run; the first of them validates and saves.

    Raises:
        UserError: the store does not fit the settings, the checkpoint belongs to another run, the loss is not
            finite, or a signal interrupted the run, which is saved then.
    """
    team, device = team or Team(), execution.device
    first = team.rank == 0
    torch.manual_seed(settings.seed)
    method = methods.build(settings).to(device, memory_format=MEMORY_FORMAT[settings.dimensions]).train()
    execution.prepare(list(method.networks().values()), deterministic=settings.deterministic)
    counts = method.labeled_batch, method.unlabeled_batch
    batches = Batches.load(store, settings, device, counts, execution.budget())
    validation = Validation.load(store, settings, device) if first else None
    check = PseudoLabelCheck.load(store, settings, method.unlabeled_batch, device) if first else None
    optimizer, selection = sgd(method, settings.options), Selection(settings.selection)
    identity = {"settings": settings.model_dump(mode="json"), "store": sha256_file(store.path), "code": code}
    checkpoints = Checkpoints(work, identity, execution.arithmetic() | {"processes": team.size})
    training = Training(method, optimizer, History(), selection, checkpoints, facts(batches, method))
    if state := checkpoints.load():
        try:
            training.load_state_dict(state)
        except MISFITS as error:
            raise misfit(checkpoints.last) from error

    method.join(team)

    log.info("%s  %s", label, start_line(training))
    begun = time.monotonic() - training.seconds
    progress = Progress(label, settings.iterations, done=training.iteration)
    with (
        closing(batches),
        closing(Curves(checkpoints.folder / "tensorboard", training.iteration))
        if first
        else nullcontext() as board,
        Interruption() as interruption,
    ):
        try:
            while True:
                # Before the next step: a run that was interrupted while it validated begins with that.
                if row_is_due(training, settings):
                    with execution.validating():
                        record(training, settings, validation, check, board, interruption)
                    training.seconds = time.monotonic() - begun
                    if first and checkpoint_is_due(training, settings):
                        checkpoints.save(training.state_dict())
                progress.update(training.iteration, training.history.summary())
                if training.iteration == settings.iterations:
                    return training
                if team.any(interruption.name is not None, device):
                    raise Interrupted(interruption.name or "a signal to another process")
                rate = learning_rate(settings.options, training.iteration)
                batch = batches.draw(training.iteration)
                training.history.add(team.mean(step(method, training.optimizer, batch, rate, execution)))
                training.iteration += 1
        except Interrupted as signal:
            training.seconds = time.monotonic() - begun
            training.require_finite()
            if first:
                checkpoints.save(training.state_dict())
            raise UserError(f"{signal} at iteration {training.iteration}: {SAVED}") from signal


def row_is_due(training: Training, settings: RunSettings) -> bool:
    """Return whether the learning curve lacks a row for the iterations done."""
    done, every = training.iteration, max(1, settings.validate_every // ROWS_PER_VALIDATION)
    due = done % every == 0 or is_due(done, settings.validate_every, settings.iterations)
    return due and done > training.history.last_iteration


def checkpoint_is_due(training: Training, settings: RunSettings) -> bool:
    """Return whether the state after a validation is saved: the last one always, others if time allows."""
    done, every = training.iteration, settings.validate_every
    return done == settings.iterations or (done % every == 0 and training.checkpoints.due)


def record(
    training: Training,
    settings: RunSettings,
    validation: Validation | None,
    check: PseudoLabelCheck | None,
    board: Curves | None,
    interruption: Interruption,
) -> None:
    """Add a row to the learning curve; where validation is due, validate and offer the weights for selection."""
    method, iteration = training.method, training.iteration
    validates = is_due(iteration, settings.validate_every, settings.iterations)
    scores = validation(method.networks(), interruption.check) if validates and validation else {}
    if validates and check:
        scores |= check(method)
    row = training.history.close_row(iteration, learning_rate(settings.options, iteration - 1), scores)
    training.require_finite()
    if board:
        board.add(row, iteration)
    if validates:
        training.selection.offer(method.student, iteration, scores.get("val_student_dice"))


def start_line(training: Training) -> str:
    """Return what a run works on and with, and from where it goes on."""
    counts, machine = training.facts["counts"], training.checkpoints.arithmetic
    return (
        f"{counts['labeled_samples']} labeled and {counts['unlabeled_samples']} unlabeled samples, "
        f"{machine['device']}, threads {machine['threads']}"
        + (f", going on from iteration {training.iteration}" if training.iteration else "")
    )


def is_due(iteration: int, every: int, total: int) -> bool:
    """Return whether something done every `every` iterations, and at the end, is due after `iteration`."""
    return iteration % every == 0 or iteration == total


def facts(batches: Batches, method: Method) -> dict[str, Any]:
    """Return which cases a run uses, how many samples and parameters it has, and where its images were."""
    parameters = sum(p.numel() for p in method.student.parameters())
    counts = batches.facts["counts"] | {"parameters": parameters}
    return batches.facts | {"counts": counts, "images_in": batches.labeled.place}
