"""What DTC and SASSNet are tested with: released weights of both heads, a network that says what it is told."""

import numpy as np
import torch
from torch import nn

from m3hl import methods
from m3hl.nets.output import Output
from tests.conftest import weights_of
from tests.methods.replay import batch_of, change, norm, running_statistics

CLASSES = {2: 4, 3: 1}
"""Logits that the released networks have."""


class Says(nn.Module):
    """A network with prepared logits, whose second head reads what is given."""

    def __init__(self, logits, distance):
        super().__init__()
        self.logits, self.distance = logits, distance

    def forward(self, image):
        return Output(self.logits, image, image, image, self.distance)


def draws(numbers, dimensions):
    """Return z, d and near of the losses' rows, in single precision and as leaves."""
    random = np.random.RandomState(numbers["seed"] * {3: 83, 2: 84}[dimensions])
    shape = numbers[f"loss{dimensions}d_labels"].shape[1:]
    maps = {2: 3, 3: 1}[dimensions]
    z = random.standard_normal((4, CLASSES[dimensions], *shape))
    d, near = (scale * random.standard_normal((4, maps, *shape)) for scale in (0.5, 0.002))
    return [torch.from_numpy(x.astype(np.float32)).requires_grad_() for x in (z, d, near)]


def say(settings, numbers, z, distance):
    """Return a method whose heads give z and `distance` (before tanh), and a batch with the released labels."""
    method = methods.build(settings)
    logits = torch.cat([torch.zeros_like(z), z], dim=1) if settings.dimensions == 3 else z
    method.student, method.distance_head = Says(logits, distance), nn.Identity()
    labels = numbers[f"loss{settings.dimensions}d_labels"].astype(int)
    return method, batch_of(np.zeros((4, 1, *labels.shape[1:])), labels)


def fill(method, numbers, reference, seed):
    """Give network and second head the released weights of `seed`, without dropout."""
    dimensions = method.settings.dimensions
    reference.fill(method.student, dimensions, seed)
    layers = numbers["layers"][{2: "unet_distance_head", 3: "vnet_heads"}[dimensions]]
    with torch.no_grad():
        for parameter, layer in zip(method.distance_head.parameters(), layers[-2:], strict=True):
            parameter.copy_(weights_of(layer, seed))
        for parameter, layer in zip(method.student.decoder.head.parameters(), layers[:-2], strict=False):
            parameter[0] = 0
            parameter[1:] = weights_of(layer, seed)


def student_facts(method, start):
    """Return norms that the released steps have: of parameters, their change and gradient, and of statistics."""
    parameters = [p for part in method.trained() for p in part.parameters()]
    return {
        "student_param_l2": norm(parameters),
        "student_change_l2": change(parameters, start),
        "student_running_l2": norm(running_statistics(method.student)),
        "grad_l2": norm(p.grad for p in parameters),
    }


def step_batch(numbers, dimensions, k):
    """Return the batch of the k-th released step."""
    random = np.random.RandomState(numbers["seed"] * {3: 85, 2: 86}[dimensions] + k)
    labels = numbers[f"steps{dimensions}d_labels_{k}"].astype(int)
    images = random.standard_normal((4, 1, 32, 32, 32)) if dimensions == 3 else random.rand(8, 1, 64, 64)
    return batch_of(images, labels)


def tolerance(numbers, name):
    """Return how closely a number of the released steps is asked for."""
    (others,) = (key for key in numbers["tolerance"] if key != "default")
    loose = name.removeprefix("student_").removeprefix("discriminator_") in others.replace(",", " ").split()
    return numbers["tolerance"][others if loose else "default"]
