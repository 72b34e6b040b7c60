"""Where a network is computed, with and without a GPU."""

import os
import platform
import resource
import subprocess
import sys

import pytest
import torch

from m3hl.compute.device import choose_device, describe_device, use_deterministic_algorithms
from m3hl.errors import UserError


@pytest.mark.parametrize(
    ("name", "available", "expected"),
    [("auto", False, "cpu"), ("auto", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_gpu_is_used_where_there_is_one(monkeypatch, name, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device(name, None) == torch.device(expected)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"no CUDA device is visible.*; .*--nv is needed; .* set device: auto"):
        choose_device("cuda", None)


FRESH_PAGES = """
import resource, torch
from m3hl.compute.device import choose_device

def fresh_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensor = torch.ones(2**24)
    del tensor
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

choose_device("cpu", None)
print(min(fresh_pages() for _ in range(20)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library hands memory back at once")
def test_on_a_cpu_freed_memory_serves_the_next_tensor():
    # glibc before 2.38 cannot reuse a place of exactly the same size before its cache of small pieces (7) is full.
    fresh = subprocess.run([sys.executable, "-c", FRESH_PAGES], capture_output=True, check=True, text=True).stdout
    assert int(fresh) < 2**24 * 4 / resource.getpagesize() / 10


def test_threads_are_limited_and_recorded():
    before = torch.get_num_threads()
    try:
        device = choose_device("cpu", 3)
        assert describe_device(device) == {"device": "cpu", "threads": 3}
    finally:
        torch.set_num_threads(before)


def test_deterministic_algorithms_are_demanded_of_cuda(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "restored by monkeypatch")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    try:
        use_deterministic_algorithms(torch.device("cpu"))
        assert not torch.are_deterministic_algorithms_enabled()
        use_deterministic_algorithms(torch.device("cuda"))
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
