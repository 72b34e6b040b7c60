"""Where training images are kept, by their size and the machine's memory."""

from pathlib import Path

import pytest
import torch

from m3hl.data.placement import Budget

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("size", "place"), [(0, "device"), (100, "device"), (101, "host"), (1000, "host"), (1001, "store")]
)
def test_the_fastest_place_that_is_large_enough(size, place):
    assert Budget(device=100, host=1000).place(size) == place


def test_on_a_cpu_there_is_one_memory():
    assert Budget.of(CPU, 500) == Budget(500, 500)
    third = Budget.of(CPU, None)
    assert third.device == third.host
    total = 1024 * int(Path("/proc/meminfo").read_text().split()[1])
    assert third.host == pytest.approx(total / 3, rel=0.01)


def test_on_a_gpu_a_third_of_its_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (900, 1000))
    assert Budget.of(torch.device("cuda"), 500) == Budget(300, 500)
