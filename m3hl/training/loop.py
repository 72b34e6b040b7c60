"""Training, from the first iteration or from a checkpoint to the last."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from m3hl import methods
from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch, Batches
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.files import sha256_file
from m3hl.methods.method import Method
from m3hl.progress import Progress
from m3hl.training.checkpoint import Checkpoints
from m3hl.training.device import arithmetic, use_deterministic_algorithms
from m3hl.training.history import History
from m3hl.training.selection import Selection
from m3hl.training.validation import Validation

log = logging.getLogger(__name__)

ROWS_PER_VALIDATION = 5
"""Rows of the learning curve from one validation to the next."""
MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}
"""Order of the weights in memory, by dimension: a quarter faster with few channels on a CPU."""
PARTS = ("method", "optimizer", "history", "selection")
"""The parts of a training that keep a state of their own."""


@dataclass
class Training:
    """What changes while a run trains, and what a checkpoint holds.

    Attributes:
        method: student (and teacher).
        optimizer: with its momentum.
        history: the learning curve.
        selection: the weights selected so far.
        checkpoints: where all this is kept while the run trains.
        facts: which cases are used, and how many samples and parameters there are; not in checkpoints.
        iteration: iterations done.
        seconds: time spent on them, interrupted attempts included as far as their last checkpoint.
    """

    method: Method
    optimizer: torch.optim.Optimizer
    history: History
    selection: Selection
    checkpoints: Checkpoints
    facts: dict[str, Any]
    iteration: int = 0
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        parts = {name: getattr(self, name).state_dict() for name in PARTS}
        return parts | {"iteration": self.iteration, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.iteration, self.seconds = state["iteration"], state["seconds"]


def train(
    settings: RunSettings, store: Store, *, label: str, work: Path, device: torch.device, code: str
) -> Training:
    """Train one run; what an interrupted one left in `work` is taken up where it stopped.

    Args:
        settings: all that decides the outcome.
        store: the data set.
        label: name of the run in progress lines.
        work: folder of checkpoints and TensorBoard logs.
        device: where to compute.
        code: digest of the source; a checkpoint that other source wrote is not taken up.

    Raises:
        UserError: the store does not fit the settings, the checkpoint belongs to another run, or the loss is
            not finite.
    """
    if settings.deterministic:
        use_deterministic_algorithms(device)
    torch.manual_seed(settings.seed)
    method = methods.build(settings).to(device, memory_format=MEMORY_FORMAT[settings.dimensions]).train()
    batches = Batches.load(store, settings, device, unlabeled=method.unlabeled_batch > 0)
    validation = Validation.load(store, settings, device)
    optimizer, selection = sgd(method, settings.options), Selection(settings.selection)
    identity = {"settings": settings.model_dump(mode="json"), "store": sha256_file(store.path), "code": code}
    checkpoints = Checkpoints(work, identity, arithmetic(device))
    training = Training(method, optimizer, History(), selection, checkpoints, facts(batches, method))
    if state := checkpoints.load():
        training.load_state_dict(state)

    log.info("%s  %s", label, start_line(training))
    progress = Progress(label, settings.iterations, done=training.iteration)
    begun = time.monotonic() - training.seconds
    with SummaryWriter(str(checkpoints.folder / "tensorboard"), purge_step=training.iteration + 1) as board:
        while training.iteration < settings.iterations:
            rate = learning_rate(settings.options, training.iteration)
            batch = batches.draw(training.iteration, method.labeled_batch, method.unlabeled_batch)
            training.history.add(step(method, training.optimizer, batch, rate))
            training.iteration += 1

            validates = is_due(training.iteration, settings.validate_every, settings.iterations)
            if validates or training.iteration % max(1, settings.validate_every // ROWS_PER_VALIDATION) == 0:
                scores = validation(method.networks()) if validates else {}
                row = training.history.close_row(training.iteration, rate, scores)
                require_finite(row, method.student, checkpoints)
                for name, value in row.items():
                    board.add_scalar(name, value, training.iteration)
            if validates:
                training.selection.offer(method.student, training.iteration, scores.get("val_student_dice"))
                training.seconds = time.monotonic() - begun
                checkpoints.save(training.state_dict())
            progress.update(training.iteration, training.history.summary())
    return training


def start_line(training: Training) -> str:
    """Return what a run works on and with, and from where it goes on."""
    counts, machine = training.facts["counts"], training.checkpoints.arithmetic
    return (
        f"{counts['labeled_samples']} labeled and {counts['unlabeled_samples']} unlabeled samples, "
        f"{machine['device']}, threads {machine['threads']}"
        + (f", going on from iteration {training.iteration}" if training.iteration else "")
    )


def step(method: Method, optimizer: torch.optim.Optimizer, batch: Batch, rate: float) -> dict[str, Tensor]:
    """Do one optimiser step with learning rate `rate` and return the losses."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses = method.losses(batch)
    optimizer.zero_grad()
    losses["loss"].backward()
    optimizer.step()
    method.after_step()
    return losses


def facts(batches: Batches, method: Method) -> dict[str, Any]:
    """Return which cases a run uses, and how many samples and parameters it has."""
    parameters = sum(p.numel() for p in method.student.parameters())
    return batches.facts | {"counts": batches.facts["counts"] | {"parameters": parameters}}


def sgd(method: Method, options: OptimizerOptions) -> torch.optim.SGD:
    """Return the optimiser of the method's student."""
    return torch.optim.SGD(
        method.student.parameters(),
        lr=options.learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )


def learning_rate(options: OptimizerOptions, iteration: int) -> float:
    """Return the step size of `iteration` (from 0)."""
    if options.learning_rate_decay_every is None:
        return options.learning_rate
    return options.learning_rate * options.learning_rate_decay ** (iteration // options.learning_rate_decay_every)


def is_due(iteration: int, every: int, total: int) -> bool:
    """Return whether something done every `every` iterations, and at the end, is due after `iteration`."""
    return iteration % every == 0 or iteration == total


def require_finite(row: dict[str, Any], student: nn.Module, checkpoints: Checkpoints) -> None:
    """Stop a run whose loss or weights are NaN or infinite; its last good checkpoint stays."""
    finite = all(bool(parameter.isfinite().all()) for parameter in student.parameters())
    if not math.isfinite(row["loss"]) or not finite:
        kept = f" ({checkpoints.last} holds the last good state)" if checkpoints.last.exists() else ""
        what = f"the loss is {row['loss']}" if finite else "weights are not finite"
        raise UserError(
            f"{what} at iteration {row['iteration']}; lower the learning rate or check the images{kept}"
        )
