"""Three steps without dropout, and what came of them: called by test_team.py, and run by torchrun."""

import json

import numpy as np
import torch
from torch import nn

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.compute.team import started_team
from m3hl.config.methods import m3hl
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch
from m3hl.training.step import step

CPU = Execution(torch.device("cpu"))
CROPS, CLASSES = {2: (32, 48), 3: (48, 48, 48)}, {2: ("a", "b", "c"), 3: ("a",)}
CASES = [(dimensions, preset) for dimensions in CROPS for preset in m3hl.PRESETS]


def train(dimensions, preset, team):
    """Return what three steps of a team gave; only its first process holds all of it."""
    crop, classes = CROPS[dimensions], CLASSES[dimensions]
    settings = RunSettings(
        method="m3hl",
        preset=preset,
        options=m3hl.preset(preset, dimensions),
        dimensions=dimensions,
        classes=classes,
        channels=4,
        crop=crop,
        labeled_batch=4,
        unlabeled_batch=4,
        iterations=3,
        validate_every=3,
        selection="last",
        labeled="all",
        seed=0,
    )
    torch.manual_seed(0)
    method = methods.build(settings).train()
    for module in method.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    method.join(team)
    updates, losses = method.updates(), []
    for iteration in range(3):
        rng = np.random.default_rng(iteration)
        labeled, unlabeled = torch.from_numpy(rng.standard_normal((2, 4, 1, *crop), dtype=np.float32))
        labels = torch.from_numpy(rng.integers(0, len(classes) + 1, (4, *crop)))
        batch = Batch(labeled, labels, unlabeled, rng)
        values = team.mean(step(method, updates, batch, CPU))
        losses.append({name: value.item() for name, value in values.items()})
    networks = {name: facts(network) for name, network in method.networks().items()}
    return {"processes": team.size, "losses": losses, **networks}


def facts(network):
    """Return norms of parameters and running statistics, and how many batches were seen."""
    buffers = dict(network.named_buffers())
    return {
        "parameters": [p.norm().item() for p in network.parameters()],
        "statistics": [b.norm().item() for b in buffers.values() if b.is_floating_point()],
        "counted": [b.item() for name, b in buffers.items() if name.endswith("num_batches_tracked")],
    }


if __name__ == "__main__":
    with started_team(torch.device("cpu")) as team:
        results = [train(*case, team) for case in CASES]
        if team.rank == 0:
            print(json.dumps(results))
