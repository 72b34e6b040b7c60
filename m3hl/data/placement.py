"""How much memory training images may take, and where they are kept accordingly."""

import os
from dataclasses import dataclass
from typing import Literal, Self

import torch

Place = Literal["device", "host", "store"]
"""device: where the network is; host: in memory, copied to the device step by step; store: read step by step."""

SHARE = 3
"""Images take at most one part in so many of a memory; the rest is for activations and everybody else."""


@dataclass(frozen=True)
class Budget:
    """Bytes that training images may take.

    Attributes:
        device: in the memory of the device.
        host: in that of the machine; on a CPU the two are one.
    """

    device: int
    host: int

    @classmethod
    def of(cls, device: torch.device, host: int | None) -> Self:
        """Return the budget of a machine.

        Args:
            device: where the network is.
            host: bytes of the machine's memory that images may take; None: a third of it.
        """
        if host is None:
            host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
        return cls(torch.cuda.mem_get_info(device)[0] // SHARE if device.type == "cuda" else host, host)

    def place(self, size: int) -> Place:
        """Return where images of so many bytes are kept."""
        if size <= self.device:
            return "device"
        return "host" if size <= self.host else "store"
