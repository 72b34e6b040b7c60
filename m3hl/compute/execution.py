"""Where and how a run is computed: what decides its speed, its memory and its last bits, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from m3hl.compute.device import use_deterministic_algorithms
from m3hl.data.placement import Budget

Precision = Literal["float32", "tf32", "bf16"]
"""float32: IEEE single precision. tf32: a GPU multiplies 10-bit mantissas. bf16: torch's autocast; weights, their
updates, losses and batch statistics stay in float32."""
Compilation = Literal["off", "kernels", "graphs"]
"""kernels: torch.compile fuses the networks' operations. graphs: and they are replayed as CUDA graphs."""


@dataclass(frozen=True)
class Execution:
    """What a machine's profile says of a training.

    Attributes:
        device: where.
        precision: of convolutions and activations.
        compilation: of the networks.
        image_memory: bytes of the machine's memory that training images may take; None: a third of it.
    """

    device: torch.device
    precision: Precision = "float32"
    compilation: Compilation = "off"
    image_memory: int | None = None

    def prepare(self, networks: list[nn.Module], *, deterministic: bool) -> None:
        """Set what torch keeps for the whole process, and compile the networks' forward passes in place."""
        if self.device.type == "cuda":
            # With bf16 what is kept out of autocast must be single precision, not TF32.
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
            # All batches have one shape, so that trying out every algorithm once pays.
            torch.backends.cudnn.benchmark = True
        if deterministic:
            use_deterministic_algorithms(self.device)
        if self.compilation != "off":
            for network in networks:
                network.compile(mode="reduce-overhead" if self.compilation == "graphs" else "default")

    def budget(self) -> Budget:
        """Return the memory that training images may take."""
        return Budget.of(self.device, self.image_memory)

    def precise(self) -> torch.autocast:
        """Return a context in which networks and losses are computed with the precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Yield in a context for other batches than the training's: same precision, nothing compiled for them."""
        # Only where it is needed: torch.compiler takes a second to load.
        eager = nullcontext() if self.compilation == "off" else torch.compiler.set_stance("force_eager")
        with self.precise(), eager:
            yield

    def next_step(self) -> None:
        """Say that the last step's outputs are not needed any more: CUDA graphs write the next ones over them."""
        if self.compilation == "graphs":
            torch.compiler.cudagraph_mark_step_begin()

    def arithmetic(self) -> dict[str, Any]:
        """Return what the last bits of a sum depend on, besides the numbers."""
        cpu = f"CPU with {torch.backends.cpu.get_cpu_capability()}"
        name = cpu if self.device.type == "cpu" else torch.cuda.get_device_name(self.device)
        return {
            "device": name,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        } | self.chosen()

    def chosen(self) -> dict[str, str]:
        """Return precision and compilation, for the run's record."""
        return {"precision": self.precision, "compilation": self.compilation}
