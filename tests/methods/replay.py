"""Steps of released code, made again: batches from its random numbers, networks that say what they are told."""

import numpy as np
import torch
from torch import nn

from m3hl.data.batches import Batch
from m3hl.nets.output import Output


class Recited(nn.Module):
    """A network that returns prepared logits, one after the other, whatever it sees."""

    def __init__(self, *logits):
        super().__init__()
        self.logits, self.calls = list(logits), 0

    def forward(self, image):
        logits = self.logits[self.calls % len(self.logits)]
        self.calls += 1
        return Output(logits, image, image, image, image)


def logits_of(random, shape, size):
    """Return size · standard normal numbers in float32, which gradients reach."""
    return torch.from_numpy((size * random.standard_normal(shape)).astype(np.float32)).requires_grad_()


def batch_of(images, labels, rng=None, iteration=0, iterations=1, dtype=torch.float32):
    """Return a batch whose first images, as many as there are label maps, are labeled; rounded to single first."""
    images = torch.from_numpy(images.astype(np.float32)).to(dtype)
    count = len(labels)
    return Batch(images[:count], torch.from_numpy(labels), images[count:], rng, iteration, iterations)


def boxes_of(row):
    """Return a row's boxes (starts of all axes, then ends) as (count, 2, axes)."""
    boxes = np.array(row["boxes"])
    return boxes.reshape(len(boxes), 2, -1)


def norm(tensors):
    """Return the Euclidean norm of several tensors together."""
    return torch.cat([t.detach().double().flatten() for t in tensors]).norm().item()


def running_statistics(network):
    """Return the running means and variances of a network."""
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]


def copies(tensors):
    """Return copies that later steps do not change."""
    return [t.detach().clone() for t in tensors]


def change(tensors, before):
    """Return the norm of what has changed."""
    return norm([t.detach() - b for t, b in zip(tensors, before, strict=True)])


def watch(network):
    """Return the list to which each forward pass adds its input, its logits and its mode."""
    passes = []
    network.register_forward_hook(
        lambda module, args, out: passes.append((args[0].numpy(), out.logits.detach().numpy(), module.training))
    )
    return passes


def state_of(network):
    """Return all that a teacher follows, flat."""
    values = [*network.parameters(), *running_statistics(network)]
    return torch.cat([value.detach().flatten().clone() for value in values])
