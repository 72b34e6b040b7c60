"""The processes that train one run together: one alone, or two that take one of M³HL's streams each.

Two processes compute what one computes. Each stream passes the networks by itself (`forward: separate`), so batch
statistics are of the same samples; gradients are averaged by torch's DistributedDataParallel; and running
statistics are put together as if the streams had passed one after the other. Only sums are rounded differently,
and dropout draws other numbers.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from m3hl.errors import UserError

MOMENTUM = 0.1
"""Share of a batch in the running statistics of every batch norm here."""
STREAMS = ("a", "b")
T = TypeVar("T")


@contextmanager
def started_team(device: torch.device) -> Iterator["Team"]:
    """Yield the team of the processes that torchrun has started, or this process alone.

    Raises:
        UserError: there are more processes than streams.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    if size > len(STREAMS):
        raise UserError(f"{size} processes for one run, but two streams at most can be shared out; start two")
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


class Team:
    """This process alone, or with another one that torchrun has started.

    Args:
        rank: number of this process.
        size: number of processes, 1 or 2.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._before: list[tuple[nn.Module, dict[str, Tensor]]] = []

    def own(self, streams: Sequence[T]) -> Sequence[T]:
        """Return of something for streams a and b what this process computes with."""
        return streams if self.size == 1 else streams[self.rank : self.rank + 1]

    def parallel(self, network: nn.Module, *, all_used: bool) -> nn.Module:
        """Return a network whose gradients are averaged over the processes; its parameters are those of `network`.

        Args:
            network: the student.
            all_used: whether every parameter has a gradient in every step.
        """
        return DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=not all_used)

    def prepare(self, rng: np.random.Generator, *networks: nn.Module) -> None:
        """Note the running statistics before a step, and let dropout draw other numbers in each process."""
        if self.size > 1:
            torch.manual_seed(int(rng.integers(2**62)) + self.rank)
            self._before = [(n, {name: b.clone() for name, b in n.named_buffers()}) for n in networks]

    def sum(self, terms: list[Tensor]) -> Tensor:
        """Return what is, averaged over the processes, the sum of the terms of all streams."""
        return self.size * torch.stack(terms).sum()

    def gather(self, features: list[Tensor]) -> list[Tensor]:
        """Return the features of all streams, in order; no gradient flows to another process."""
        if self.size == 1:
            return features
        (mine,) = features
        everyones = [torch.empty_like(mine, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(everyones, mine.contiguous())
        return everyones

    def mean(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return each loss averaged over the processes, for the record."""
        if self.size == 1:
            return losses
        values = torch.stack([value.detach() for value in losses.values()])
        dist.all_reduce(values)
        return dict(zip(losses, values / self.size, strict=True))

    @torch.no_grad()
    def combine_statistics(self) -> None:
        """Make the running statistics what they are after stream a and then stream b.

        With m the momentum, r before, and a and b the statistics of the two batches, one process has
        r_a = (1 − m) r + m a, the other r_b = (1 − m) r + m b, and the result is (1 − m) r_a + r_b − (1 − m) r.
        """
        for network, before in self._before:
            for name, now in network.named_buffers():
                if now.is_floating_point():
                    first, second = self.gather([now])
                    now.copy_((1 - MOMENTUM) * first + second - (1 - MOMENTUM) * before[name])
                else:
                    now.copy_(before[name] + self.size * (now - before[name]))

    def any(self, flag: bool, device: torch.device) -> bool:
        """Return whether `flag` is true in any process."""
        if self.size == 1:
            return flag
        votes = torch.tensor(float(flag), device=device)
        dist.all_reduce(votes)
        return votes.item() > 0
