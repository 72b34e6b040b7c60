"""What every method of the project is held to, as functions: each raises `AssertionError` where one does not hold.

A method is named as a configuration names it, such as "./my_method.py"; `options` are single knobs, for what a
small run must have otherwise than a preset (a ramp of four iterations), and `network` one of a user's own.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.data.batches import Batch, Batches
from m3hl.methods.method import Method
from m3hl.methods.update import Update
from m3hl.testing.small import CPU, CROP, bits, run, settings, state, store
from m3hl.training import checkpoint
from m3hl.training.history import History
from m3hl.training.state import Training
from m3hl.training.step import step

WAITS = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
    "equal",
    "bincount",
)
"""Operations after which a GPU's program cannot go on before the GPU has said what came out."""
Options = dict[str, Any] | None


def check_runs(
    method: str, dimensions: int, options: Options = None, network: str | None = None, iterations: int = 20
) -> Training:
    """Train for some iterations, validated and selected; return the training, whose history holds the losses."""
    length = {"iterations": iterations, "validate_every": iterations // 2}
    training = run(settings(method, dimensions, options, network, **length))
    assert training.iteration >= iterations
    return training


def check_deterministic(
    method: str, dimensions: int = 2, options: Options = None, network: str | None = None
) -> None:
    """Train twice: every bit is the same."""
    chosen = settings(method, dimensions, options, network)
    first, second = state(run(chosen)), state(run(chosen))
    assert first == second, f"{method}: two runs differ; draw random numbers from batch.rng or batch.generator()"


def check_killed(method: str, dimensions: int = 2, options: Options = None, network: str | None = None) -> None:
    """Let a run end without a word after each iteration: taken up, it ends with a whole one's bits.

    Every second iteration is followed by a checkpoint.
    """
    chosen = settings(method, dimensions, options, network)
    with every_checkpoint(), TemporaryDirectory() as folder:
        whole = run(chosen)
        for last in range(whole.iteration):
            work = Path(folder) / str(last)
            with dying_after(last), suppress(Dead):
                run(chosen, work)
            taken_up = run(chosen, work)
            assert bool(taken_up.resumed_at) == (last > 1), f"{method}: killed after {last}, it began anew"
            assert state(taken_up) == state(whole), (
                f"{method}: killed after {last} iterations, the run ends with other bits; keep what an iteration "
                "hands on to the next in buffers or submodules"
            )


def check_labels_unread(
    method: str, dimensions: int = 2, options: Options = None, network: str | None = None
) -> None:
    """Train where the labels of unlabeled cases are wrong: no weight changes."""
    chosen = settings(method, dimensions, options, network)
    first, second = (bits(run(chosen, poisoned=poisoned).method.state_dict()) for poisoned in (False, True))
    assert first == second, f"{method}: labels of unlabeled cases are read"


def check_bf16(method: str, dimensions: int = 2, options: Options = None, network: str | None = None) -> None:
    """Train in bf16: losses and weights are finite, or the training says that they are not."""
    run(settings(method, dimensions, options, network), precision="bf16")


def check_gradients(
    method: str, dimensions: int = 2, options: Options = None, network: str | None = None, iterations: int = 6
) -> None:
    """Train: every parameter that an optimizer has gets a gradient that is not 0, in one of some iterations."""
    for stage, updates in steps(method, dimensions, options, network):
        reached: set[str] = set()
        for iteration in range(iterations):
            step(stage, updates, batch(stage, iteration, iterations), Execution(CPU))
            reached |= {name for name, p in stage.named_parameters() if p.grad is not None and p.grad.any()}
        stepped = {id(p) for update in updates for group in update.optimizer.param_groups for p in group["params"]}
        asleep = [name for name, p in stage.named_parameters() if id(p) in stepped and name not in reached]
        assert not asleep, f"{method}: no gradient reaches {', '.join(asleep)}"


def check_no_waiting(
    method: str, dimensions: int = 2, options: Options = None, network: str | None = None
) -> None:
    """Do three steps in which nothing is asked of a tensor that a GPU would have to answer before it goes on."""
    execution, history = Execution(CPU), History()
    with store(dimensions) as data:
        for stage, updates in steps(method, dimensions, options, network):
            counts = stage.labeled_batch, stage.unlabeled_batch
            with (
                closing(Batches.load(data, stage.settings, CPU, counts, execution.budget())) as batches,
                Watch(method),
            ):
                for iteration in range(3):
                    history.add(step(stage, updates, batches.draw(iteration), execution))


def check_all(method: str, dimensions: int = 2, options: Options = None, network: str | None = None) -> None:
    """Make every check of this module, for 2D or 3D data."""
    for check in CHECKS:
        check(method, dimensions, options, network)


CHECKS: tuple[Callable[..., object], ...] = (
    check_runs,
    check_deterministic,
    check_killed,
    check_labels_unread,
    check_bf16,
    check_gradients,
    check_no_waiting,
)


class Dead(BaseException):
    """What ends a run without a word: nothing in it may be caught or saved."""


class Watch(TorchDispatchMode):
    """Fails at the first operation that would wait for a GPU."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation, unless it waits."""
        name = func.overloadpacket.__name__
        chosen = args[1] if name == "index" else ()
        masked = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in chosen)
        waits = name in WAITS or masked
        assert not waits, (
            f"{self.method}: {'indexing by a mask' if masked else name} waits for the GPU in each step "
            "(.item(), float(), if, nonzero and the like); let tensors stay where they are"
        )
        return func(*args, **(kwargs or {}))


def steps(
    method: str, dimensions: int, options: Options, network: str | None
) -> Iterator[tuple[Method, list[Update]]]:
    """Yield each stage of a small run, new, and its updates."""
    chosen = settings(method, dimensions, options, network)
    for number in range(len(methods.stages(chosen))):
        torch.manual_seed(5)
        stage = methods.build(chosen, number).train()
        yield stage, stage.updates()


def batch(stage: Method, iteration: int, iterations: int) -> Batch:
    """Return a random batch, as a method's settings and its own wishes ask for."""
    dimensions = stage.settings.dimensions
    source = torch.Generator().manual_seed(iteration)
    labeled, unlabeled = (
        torch.rand(count, stage.settings.inputs, *CROP[dimensions], generator=source)
        for count in (stage.labeled_batch, stage.unlabeled_batch)
    )
    labels = (labeled[:, 0] > 0.5).long()
    return Batch(labeled, labels, unlabeled, np.random.default_rng(iteration), iteration, iterations)


@contextmanager
def every_checkpoint() -> Iterator[None]:
    """Let every validation write a checkpoint, however short a run is."""
    with mock.patch.object(checkpoint, "SHARE", 0):
        yield


@contextmanager
def dying_after(iterations: int) -> Iterator[None]:
    """Let the run end when so many iterations are done and the next begins."""
    begun = iter(range(iterations))

    def watched(*arguments: Any) -> Any:
        if next(begun, None) is None:
            raise Dead
        return step(*arguments)

    with mock.patch("m3hl.training.loop.step", watched):
        yield
