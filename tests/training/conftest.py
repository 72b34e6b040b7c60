"""A method that does as it is told, and runs whose every validation writes a checkpoint."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import m3hl.methods
from m3hl.methods.method import Method
from m3hl.nets.output import Output
from m3hl.testing.checks import every_checkpoint


class Head(nn.Module):
    """One number that is added to the image: p(class 1) = sigmoid(image + offset)."""

    def __init__(self):
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, image):
        logits = torch.cat([torch.zeros_like(image), image + self.offset], dim=1)
        return Output(logits, image, image, image, image)


class Obedient(Method):
    """Returns the losses of `script(iteration)`, plus the offset, and keeps a diary of what the loop does.

    Its gradient is 1 in every iteration, so that the offset tells the steps that were made.
    """

    def __init__(self, script):
        super().__init__(SimpleNamespace(options=None, labeled_batch=2, unlabeled_batch=2))
        self.student, self.script = Head(), script
        self.batches, self.offsets, self.done = [], [], 0

    def losses(self, batch):
        self.done += 1
        self.batches.append(batch)
        losses = {name: torch.tensor(float(value)) for name, value in self.script(self.done).items()}
        return losses | {"loss": losses["loss"] + self.student.offset - self.student.offset.detach()}

    def after_step(self, batch):
        self.offsets.append(self.student.offset.item())


@pytest.fixture
def obedient(monkeypatch):
    """Return a function that puts a method into the loop whose losses are `script(iteration, from 1)`."""

    def use(script=lambda _: {"loss": 1.0}):
        method = Obedient(script)

        def build(settings, stage):
            method.settings, method.options = settings, settings.options
            return method

        monkeypatch.setattr(m3hl.methods, "build", build)
        return method

    return use


@pytest.fixture(autouse=True)
def _every_checkpoint(request):
    """Let every validation write a checkpoint, however short these runs are."""
    if "time_goes_by" not in request.fixturenames:
        with every_checkpoint():
            yield
    else:
        yield
