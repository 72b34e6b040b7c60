"""Seconds per step: the project's, its parts, and the plain baseline's."""

from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config.methods import load
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batches
from m3hl.data.placement import Budget
from m3hl.data.store import Store
from m3hl.methods import m3hl
from m3hl.methods.parts import copy_paste
from m3hl.methods.parts.cut_mix import CutMix
from m3hl.methods.parts.strong import strong
from m3hl.training.session import MEMORY_FORMAT
from m3hl.training.step import step
from tests.benchmarks.clock import Parts, seconds_by_turns, seconds_each
from tests.benchmarks.plain import PlainTraining

GFLOP = {2: 283.0, 3: 1283.0}
"""Of one full-size step, forward and backward, student and teacher."""
BUDGETS = {"device": Budget(2**40, 2**40), "host": Budget(0, 2**40), "store": Budget(0, 0)}


class Training:
    """A run, or its last stage, that is driven step by step.

    Args:
        settings: of the run.
        store: the data set, open.
        execution: where and how.
        place: where the images are kept.
        stage: of the run, from 0.
    """

    def __init__(
        self, settings: RunSettings, store: Store, execution: Execution, place: str = "device", stage: int = 0
    ) -> None:
        torch.manual_seed(settings.seed)
        self.execution, self.iteration = execution, 0
        self.method = methods.build(settings, stage)
        self.method.to(execution.device, memory_format=MEMORY_FORMAT[settings.dimensions]).train()
        execution.prepare(list(self.method.networks().values()), deterministic=False)
        self.updates = self.method.updates()
        counts = self.method.labeled_batch, self.method.unlabeled_batch
        self.batches = Batches.load(store, settings, execution.device, counts, BUDGETS[place])

    def step(self) -> dict[str, Tensor]:
        """Do one iteration."""
        batch = self.batches.draw(self.iteration)
        self.iteration += 1
        return step(self.method, self.updates, batch, self.execution)

    def close(self) -> None:
        """Read no further."""
        self.batches.close()


def plain_step(settings: RunSettings, path: Path, device: torch.device, rounds: int) -> float:
    """Return the seconds of a step of the plain baseline."""
    training = PlainTraining(settings, path, device)
    # It waits for the GPU by itself.
    return seconds_each(training.step, rounds, device, calls=1)


def our_step(settings: RunSettings, path: Path, execution: Execution, rounds: int, place: str = "device") -> float:
    """Return the seconds of one of our steps."""
    with Store(path) as store, closing(Training(settings, store, execution, place)) as training:
        return seconds_each(training.step, rounds, execution.device)


def beside_supervised(
    settings: RunSettings, path: Path, execution: Execution, rounds: int, stage: int
) -> dict[str, float]:
    """Return the seconds of a stage's step and of a supervised one on as many images, and what its passes say.

    Passes are counted as images that pass a network forward; one that is trained passes back too, which is twice
    as much. `of_passes` is how much longer a step takes than these alone explain.
    """
    module = load("supervised")
    options = module.preset(module.PRESETS[0], settings.dimensions)
    baseline = RunSettings.model_validate(
        settings.model_dump() | {"method": "supervised", "preset": module.PRESETS[0], "options": options}
    )
    with (
        Store(path) as store,
        closing(Training(settings, store, execution, stage=stage)) as ours,
        closing(Training(baseline, store, execution)) as supervised,
    ):
        passes = passes_of_a_step(ours) / passes_of_a_step(supervised)
        seconds, alone = seconds_by_turns([ours.step, supervised.step], rounds, execution.device)
    ratio = seconds / alone
    return {
        "seconds": seconds,
        "supervised": alone,
        "of_supervised": ratio,
        "passes": passes,
        "of_passes": ratio / passes,
    }


def passes_of_a_step(training: Training) -> int:
    """Return the images that pass the networks' encoders in a step; those that pass back too count three times."""
    passes = []

    def count(_: nn.Module, inputs: tuple[Tensor, ...], __: Any) -> None:
        passes.append(len(inputs[0]) * (3 if torch.is_grad_enabled() else 1))

    networks = training.method.networks().values()
    hooks = [getattr(network, "encoder", network).register_forward_hook(count) for network in networks]
    training.step()
    for hook in hooks:
        hook.remove()
    return sum(passes)


def views_of_a_step(settings: RunSettings, path: Path, execution: Execution, rounds: int) -> dict[str, float]:
    """Return the seconds of a strong and of a mixed view of the unlabeled batch, and their shares of a step."""
    with Store(path) as store, closing(Training(settings, store, execution)) as training:
        batch = training.batches.draw(0)
        images = batch.unlabeled_images

        def mixed() -> Tensor:
            return CutMix.draw(batch.rng, len(images), settings.crop, images.device)(images)

        views = {"strong": lambda: strong(images, batch.generator(), blurred=0.5), "mixed": mixed}
        calls = [training.step, *views.values()]
        seconds, *found = seconds_by_turns(calls, rounds, execution.device)
    return dict(zip(views, found, strict=True)) | {
        f"{name}_share": each / seconds for name, each in zip(views, found, strict=True)
    }


def parts_of_a_step(settings: RunSettings, path: Path, execution: Execution, rounds: int) -> dict[str, float]:
    """Return the seconds of each part of our step."""
    parts = Parts(execution.device)
    with Store(path) as store, closing(Training(settings, store, execution)) as training:
        training.step()
        method, optimizer = training.method, training.updates[0].optimizer

        def which(network: Any, streams: Any) -> str:
            return "teacher" if network is method.teacher else "student, forward"

        with (
            mock.patch.object(training.batches, "draw", parts.timed(training.batches.draw, "data")),
            mock.patch.object(method, "forward_streams", parts.timed(method.forward_streams, which)),
            mock.patch.object(copy_paste, "pseudo_label", parts.timed(copy_paste.pseudo_label, "components")),
            mock.patch.object(method, "mix_loss", parts.timed(method.mix_loss, "losses")),
            mock.patch.object(m3hl, "low_level_loss", parts.timed(m3hl.low_level_loss, "losses")),
            mock.patch.object(m3hl, "high_level_loss", parts.timed(m3hl.high_level_loss, "losses")),
            mock.patch.object(Tensor, "backward", parts.timed(Tensor.backward, "backward")),
            mock.patch.object(optimizer, "step", parts.timed(optimizer.step, "optimizer")),
            mock.patch.object(method, "after_step", parts.timed(method.after_step, "teacher's update")),
        ):
            for _ in range(rounds):
                training.step()
    return {name: seconds / rounds for name, seconds in parts.seconds.items()}


def forget_peak(device: torch.device) -> None:
    """Begin anew to watch how much memory this process holds at most."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib(device: torch.device) -> float:
    """Return the most MiB that this process held since: of the GPU, or of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
