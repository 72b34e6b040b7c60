"""Where a network is computed."""

import ctypes
import os
from typing import Any

import torch

from m3hl.errors import UserError

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Options of the GNU C library's `mallopt`: when freed memory goes back, and how many blocks are mapped apart."""


def choose_device(name: str, threads: int | None) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu" or "cuda", and limit the CPU threads.

    Raises:
        UserError: CUDA is asked for and there is none.
    """
    if threads:
        torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        build = "" if torch.version.cuda else " (this torch is a CPU build)"
        raise UserError(
            f"no CUDA device is visible{build}; in a container --nv is needed; to allow the CPU, set device: auto "
            "in the data set, or --device auto"
        )
    device = torch.device("cuda" if name != "cpu" and available else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    else:
        # Single precision means that, unless a training asks for less (m3hl.compute.execution).
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return device


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensor instead of handing it back to the system.

    Each large tensor would else come as fresh pages, zeroed by the kernel: half of a V-Net's step on a CPU.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except AttributeError:  # not the GNU C library
        return
    for option, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1)):
        set_option(option, value)


def use_deterministic_algorithms(device: torch.device) -> None:
    """Let CUDA use only algorithms that give the same bits every time, as a CPU always does."""
    if device.type == "cpu":
        return
    # cuBLAS reads this when its first handle is made, which is after the program's start.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def describe_device(device: torch.device) -> dict[str, Any]:
    """Return what a result says about the device: its name, CPU threads, and peak GPU memory (MiB)."""
    if device.type == "cpu":
        return {"device": "cpu", "threads": torch.get_num_threads()}
    return {
        "device": "cuda",
        "device_name": torch.cuda.get_device_name(device),
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "peak_gpu_memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20),
    }
