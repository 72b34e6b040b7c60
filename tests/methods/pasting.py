"""What the released steps of copy-paste have in common: their images, boxes, momentum and recorded terms."""

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods import bcp
from m3hl.methods.method import Selected
from m3hl.methods.parts import copy_paste
from m3hl.methods.parts import losses as parts
from m3hl.methods.parts.boxes import box_masks
from m3hl.training.step import step
from tests.conftest import LAYERS
from tests.methods.lineage import keep
from tests.methods.replay import Recited, batch_of, change, copies, logits_of, norm, running_statistics

CPU = Execution(torch.device("cpu"))


def close(expected, rel=1e-4):
    """Return what equals a released number to the page's tolerance; norms of changes are looser."""
    if isinstance(expected, dict):
        return {name: close(value, 1e-2 if loose(name) else rel) for name, value in expected.items()}
    return pytest.approx(expected, rel=rel)


def loose(name):
    """Return whether a number depends on gradients that jump where a unit crosses zero."""
    return name.endswith("moved_l2") or name.startswith("momentum")


def repeat(values, times, axes=2):
    """Return values each of which becomes a block along the last axes."""
    return np.kron(values, np.ones((1,) * (values.ndim - axes) + (times,) * axes, values.dtype))


def slices(random, count):
    """Return the images (N, 1, 64, 64) of a released step on slices."""
    coarse = repeat(random.rand(count, 1, 8, 8), 8)
    return 0.95 * coarse + 0.05 * random.rand(count, 1, 64, 64)


def labels_2d(random):
    """Return four label maps (4, 64, 64) of a released step on slices."""
    return repeat(random.randint(0, 4, (4, 8, 8)), 8)


def boxes_at(starts, crop):
    """Return boxes (1, 2, axes) of two thirds of each axis that begin at some voxels."""
    return np.stack([starts, starts + 2 * np.array(crop) // 3])[None]


def put_box(monkeypatch, place, starts):
    """Let the next masks of a module have their box at these voxels."""
    monkeypatch.setattr(place, "draw_pasted_box", lambda _, crop: boxes_at(np.array(starts), crop))


def loss_inputs(seed, dimensions):
    """Return logits, labels, pseudo-labels and the box's first corner of a row of losses."""
    random = np.random.RandomState(seed * (74 if dimensions == 2 else 75))
    if dimensions == 2:
        logits = logits_of(random, (3, 4, 64, 64), 2)
        maps = [repeat(random.randint(0, 4, (3, 8, 8)), 8) for _ in range(2)]
        return logits, *map(torch.from_numpy, maps), random.randint(0, 22, 2)
    logits = logits_of(random, (2, 2, 24, 24, 16), 2)
    maps = [repeat(random.randint(0, 2, (2, 6, 6, 4)), 4, 3) for _ in range(2)]
    return logits, *map(torch.from_numpy, maps), np.array([random.randint(0, n) for n in (8, 8, 6)])


def outside(starts, logits):
    """Return M (B, *), 0 in the box."""
    crop = logits.shape[2:]
    return (~box_masks(boxes_at(starts, crop), crop, torch.device("cpu"))).float().expand(len(logits), *crop)


def pretraining_loss(stage, logits, inside_mask, in_box, starts, monkeypatch):
    """Return the loss of BCP's first stage whose network gives prepared logits."""
    stage.student, stage.labeled_batch = Recited(logits), 2 * len(logits)
    stage.settings = stage.settings.model_copy(update={"crop": tuple(logits.shape[2:])})
    put_box(monkeypatch, bcp, starts)
    images = np.zeros((2 * len(logits), 1, *logits.shape[2:]))
    return stage.losses(batch_of(images, torch.cat([inside_mask, in_box]).numpy()))["loss"]


def side_in_numpy(p, y, region, *, form, whole_background=False):
    """Return (CE + Dice) / 2 of a region, class by class; p (B, C, *), y and region (B, *)."""
    ce = (-np.log(np.take_along_axis(p, y[:, None], axis=1)[:, 0]) * region).sum() / region.sum()
    dice = []
    for c in range(p.shape[1]):
        inside = np.ones_like(region) if whole_background and c == 0 else region
        truth, axes = y == c, None if form == "squared" else tuple(range(1, y.ndim))
        power, epsilon = (2, 1e-10) if form == "squared" else (1, 1e-5)
        overlap = (p[:, c] * truth * inside).sum(axes)
        size = (p[:, c] ** power * inside).sum(axes) + (truth * inside).sum(axes)
        dice.append(np.mean(1 - (2 * overlap + epsilon) / (size + epsilon)))
    return (ce + np.mean(dice)) / 2


def keep_terms(monkeypatch):
    """Return the lists to which each cross entropy, Dice loss and pseudo-label will be added."""
    kept = {"ce": [], "dice": [], "pseudo": []}
    keep(monkeypatch, parts, "cross_entropy", kept["ce"].append)
    keep(monkeypatch, parts, "dice_loss", kept["dice"].append)
    keep(monkeypatch, copy_paste, "pseudo_label", kept["pseudo"].append)
    return kept


def weighted(terms, labeled=1.0, unlabeled=0.5):
    """Return the sum of a stream's terms: of the labeled side, then of the other."""
    return labeled * terms[0].item() + unlabeled * terms[1].item()


def counts(labels, classes=4):
    """Return how many voxels each class has."""
    return labels.flatten().bincount(minlength=classes).tolist()


def about(voxels, off=3):
    """Return what equals numbers of voxels, but for some."""
    return pytest.approx(voxels, abs=off)


def handed_over(reference, stage, seed):
    """Return what a first stage would hand over: weights, fresh running statistics, and the momentum of a page."""
    settings = stage.settings
    network = methods.build(settings).student
    reference.fill(network, settings.dimensions, seed + 1)
    momentum = {
        layer["where"]: torch.from_numpy(
            0.005 * np.random.RandomState((seed + 3) * 1000 + layer["index"]).standard_normal(layer["shape"])
        ).float()
        for layer in reference[LAYERS[settings.dimensions]]
    }
    return Selected(network.state_dict(), momentum)


def watch(network):
    """Return the list to which each forward pass will add its input, its logits and its mode."""
    passes = []
    network.register_forward_hook(
        lambda module, args, out: passes.append((args[0].numpy(), out.logits.detach().numpy(), module.training))
    )
    return passes


class Replay:
    """A stage whose steps are made again, and what they do to its networks.

    Args:
        stage: new, its weights given.
        networks: those that are watched, by name.
        updates: of the stage; made anew where there are none yet.
    """

    def __init__(self, stage, networks, updates=None):
        self.stage, self.networks = stage.train(), networks
        self.updates = updates or stage.updates()
        self.starts = {name: copies(network.parameters()) for name, network in networks.items()}

    def step(self, batch):
        """Return the losses of a step."""
        return {n: v.item() for n, v in step(self.stage, self.updates, batch, CPU).items()}

    def norms(self):
        """Return how far each network has moved, its running statistics and the momentum of what is trained."""
        found = {}
        for name, network in self.networks.items():
            found[f"{name}_moved_l2"] = change(network.parameters(), self.starts[name])
            found[f"{name}_running_l2"] = norm(running_statistics(network))
        return found

    def momentum(self, network):
        """Return the norm of a network's momentum."""
        state = self.updates[0].optimizer.state
        return norm(state[parameter]["momentum_buffer"] for parameter in network.parameters())
