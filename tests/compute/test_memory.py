"""Memory does not grow while a run trains, wherever its images are."""

import resource
from contextlib import closing
from pathlib import Path

import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.data.batches import Batches
from m3hl.data.placement import Budget
from m3hl.data.store import Store
from m3hl.training.history import History
from m3hl.training.step import step

CPU = torch.device("cpu")
STEPS, GROWN_UP = 600, 200
BUDGETS = {"device": Budget(2**30, 2**30), "store": Budget(0, 0)}


def held():
    """Return the MiB that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.slow
@pytest.mark.parametrize("place", BUDGETS)
def test_memory_does_not_grow(run_settings, make_store, place):
    settings = run_settings(2, method="m3hl", channels=1)
    method = methods.build(settings).train()
    updates, history, sizes = method.updates(), History(), {}
    with (
        Store(make_store(2)) as store,
        closing(Batches.load(store, settings, CPU, (2, 2), BUDGETS[place])) as batches,
    ):
        for iteration in range(STEPS):
            history.add(step(method, updates, batches.draw(iteration), Execution(CPU)))
            if iteration in (GROWN_UP, STEPS - 1):
                sizes[iteration] = held()
    # A label map that is kept from each step (8 KiB) would be more.
    assert sizes[STEPS - 1] - sizes[GROWN_UP] < (STEPS - GROWN_UP) * 4 / 1024
