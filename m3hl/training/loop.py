"""Training, from the first iteration or from a checkpoint to the last, stage by stage."""

import logging
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.compute.team import Team
from m3hl.config import networks
from m3hl.config.methods import blamed
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batches, training_cases
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.inference.network import try_network
from m3hl.progress import Progress
from m3hl.training.checkpoint import MISFITS, Checkpoints, misfit
from m3hl.training.curves import Curves
from m3hl.training.interruption import SAVED, Interrupted, Interruption
from m3hl.training.pseudo_labels import PseudoLabelCheck
from m3hl.training.session import Session, facts, load_batches, prepared_method, stage_label, start_line
from m3hl.training.state import Training
from m3hl.training.step import step
from m3hl.training.validation import Validation

log = logging.getLogger(__name__)

ROWS_PER_VALIDATION = 5
"""Rows of the learning curve from one validation to the next."""


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
    team = team or Team()
    first = team.rank == 0
    # Before anything is written.
    training_cases(store, settings)
    try_network(settings, execution.device)
    torch.manual_seed(settings.seed)
    stages = methods.stages(settings)
    if team.size > 1 and len(stages) > 1:
        # The others do not validate, so they would hand over other weights than the first.
        raise UserError("a run in stages is trained by one process; start one")
    identity = {"settings": settings.model_dump(mode="json"), "store": sha256_file(store.path), "code": code}
    validation = Validation.load(store, settings, execution.device) if first else None
    checkpoints = Checkpoints(work, identity, execution.arithmetic() | {"processes": team.size})
    training, saved = Training(checkpoints), checkpoints.load()
    begun = place(saved, len(stages), checkpoints)
    board = Curves(checkpoints.folder / "tensorboard", begun.iteration) if first else None
    with (
        closing(board) if board else nullcontext(),
        Interruption() as interruption,
        blamed(settings.method),
        networks.blamed(settings.network),
    ):
        total = sum(stage.length(settings) for stage in stages)
        session = Session(
            settings, store, label, execution, team, len(stages), total, validation, board, interruption
        )
        for number in range(begun.stage, len(stages)):
            training.begin(number, prepared_method(session, number), settings.selection)
            with closing(load_batches(training, session)) as batches:
                training.facts = facts(batches, training.method)
                if saved and number == begun.stage:
                    restore(training, saved)
                training.method.join(team)
                train_stage(training, session, batches)
    return training


class Place(NamedTuple):
    """Where a run goes on: stage and iteration, both from 0."""

    stage: int
    iteration: int


def place(saved: dict[str, Any] | None, stages: int, checkpoints: Checkpoints) -> Place:
    """Return where a checkpoint is in a run of so many stages; raises `UserError` where it is nowhere."""
    found = Place(0, 0) if saved is None else Place(saved.get("stage"), saved.get("iteration"))
    if found.stage not in range(stages) or not isinstance(found.iteration, int):
        raise misfit(checkpoints.last)
    return found


def restore(training: Training, saved: dict[str, Any]) -> None:
    """Go on from a checkpoint in a stage that has begun anew; raises `UserError` where they do not fit."""
    try:
        training.load_state_dict(saved)
    except MISFITS as error:
        raise misfit(training.checkpoints.last) from error


def train_stage(training: Training, session: Session, batches: Batches) -> None:
    """Train the stage that has begun, or was taken up, to its end."""
    method, settings, team = training.method, session.settings, session.team
    device, check = session.execution.device, None
    if session.first:
        check = PseudoLabelCheck.load(session.store, settings, method.unlabeled_batch, device)
    label = stage_label(training, session)
    log.info("%s  %s", label, start_line(training))
    begun = time.monotonic() - training.seconds
    progress = Progress(label, session.iterations, done=training.iteration)
    try:
        while True:
            # Before the next step: a run that was interrupted while it validated begins with that.
            if row_is_due(training, settings):
                with session.execution.validating():
                    record(training, session, check)
                training.seconds = time.monotonic() - begun
                if session.first and checkpoint_is_due(training, settings):
                    training.checkpoints.save(training.state_dict())
            progress.update(training.iteration, training.history.summary())
            if training.stage_iteration == training.length:
                return
            if team.any(session.interruption.name is not None, device):
                raise Interrupted(session.interruption.name or "a signal to another process")
            batch = batches.draw(training.stage_iteration)
            training.history.add(team.mean(step(method, training.updates, batch, session.execution)))
            training.iteration += 1
    except Interrupted as signal:
        training.seconds = time.monotonic() - begun
        training.require_finite()
        # A run that has not begun begins again as well without a checkpoint.
        if session.first and training.iteration:
            training.checkpoints.save(training.state_dict())
        # A row that is still due was being validated: the others hear of it at the next vote, if there is one.
        if row_is_due(training, settings) and training.stage_iteration < training.length:
            team.any(True, device)
        raise UserError(f"{signal} at iteration {training.iteration}: {SAVED}") from signal


def row_is_due(training: Training, settings: RunSettings) -> bool:
    """Return whether the learning curve lacks a row for the iterations done."""
    done, every = training.stage_iteration, max(1, settings.validate_every // ROWS_PER_VALIDATION)
    due = done % every == 0 or is_due(done, settings.validate_every, training.length)
    return due and training.iteration > max(training.begun, training.history.last_iteration)


def checkpoint_is_due(training: Training, settings: RunSettings) -> bool:
    """Return whether the state after a validation is saved: a stage's last one always, others if time allows."""
    done, every = training.stage_iteration, settings.validate_every
    return done == training.length or (done % every == 0 and training.checkpoints.due)


def record(training: Training, session: Session, check: PseudoLabelCheck | None) -> None:
    """Add a row to the learning curve; where validation is due, validate and offer the weights for selection."""
    method, iteration, done = training.method, training.iteration, training.stage_iteration
    validates = is_due(done, session.settings.validate_every, training.length)
    scores: dict[str, float] = {}
    if validates and session.validation:
        scores = session.validation(method.results() | method.networks(), session.interruption.check)
    if validates and check:
        scores |= check(method)
    rate = training.updates[0].rate(done - 1, training.length)
    stage = training.stage + 1 if session.stages > 1 else None
    row = training.history.close_row(iteration, rate, scores, stage)
    training.require_finite()
    if session.board:
        session.board.add(row, iteration)
    if validates:
        training.offer(scores)


def is_due(iteration: int, every: int, total: int) -> bool:
    """Return whether something done every `every` iterations, and at the end, is due after `iteration`."""
    return iteration % every == 0 or iteration == total
