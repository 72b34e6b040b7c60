"""GPU, memory and disk."""

import importlib.util
import os
import shutil
from pathlib import Path

from m3hl.doctor.finding import Finding
from m3hl.provenance.origin import processor

LEAST_MEMORY, LEAST_DISK = 4, 5
"""GiB that the demo wants."""
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def gpu(*, needed: bool = False) -> Finding:
    """Look for a GPU that torch can use; `needed` says that a data set asks for one."""
    if importlib.util.find_spec("torch") is None:
        return Finding("GPU", "unknown without torch")
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        more = f" and {count - 1} more" if (count := torch.cuda.device_count()) > 1 else ""
        gib = properties.total_memory / 2**30
        return Finding("GPU", f"{properties.name}, {gib:.0f} GiB{more}, CUDA {torch.version.cuda}")
    driver = shutil.which("nvidia-smi") is not None
    if torch.version.cuda:
        found = f"none visible (torch is built for CUDA {torch.version.cuda})"
        if driver:
            advice = "see what nvidia-smi says and CUDA_VISIBLE_DEVICES; ask the cluster for a GPU, or give --nv"
        else:
            advice = "without NVIDIA's driver everything runs on the CPU: the demo does, full size is slow"
    else:
        found = "this torch is a CPU build" + (", though there is NVIDIA's driver" if driver else "")
        advice = "for GPUs, install the CUDA build of torch (pytorch.org)"
    return Finding("GPU", found, advice + (", or set device: auto" if needed else ""), needed)


def memory() -> Finding:
    """Look at the processor and at the memory that this process may use."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed = min([whole, *limits()])
    gib, of = allowed / 2**30, f" of {whole / 2**30:.0f}" if allowed < whole else ""
    advice = f"the demo wants {LEAST_MEMORY} GiB; use --cores 1" if gib < LEAST_MEMORY else ""
    return Finding("Memory", f"{gib:.0f}{of} GiB, {processor()}", advice)


def limits() -> list[int]:
    """Return the bytes of memory that a container or a cluster's job may take: none, one, or nested ones."""
    try:
        line = next(line for line in OWN_CGROUP.read_text().splitlines() if line.startswith("0::"))
        folder = CGROUPS / line.removeprefix("0::").lstrip("/")
        texts = [
            path.read_text().strip() for p in (folder, *folder.parents) if (path := p / "memory.max").is_file()
        ]
    except (OSError, StopIteration):
        return []
    return [int(text) for text in texts if text.isdecimal()]


def disk() -> Finding:
    """Look at the free space where results would go."""
    gib = shutil.disk_usage(Path.cwd()).free / 2**30
    advice = f"the demo wants {LEAST_DISK} GiB; make room, or work elsewhere" if gib < LEAST_DISK else ""
    return Finding("Disk", f"{gib:.0f} GiB free in {Path.cwd()}", advice)
