"""Numbers of the released code, and the small runs that networks, methods and inference are tested with."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from torch import nn

from m3hl import nets
from m3hl.config import methods
from m3hl.config.run import RunSettings
from m3hl.data.batches import Batch

pytest_plugins = ["tests.small_runs"]

# An example that waits for a core is no fault.
hypothesis.settings.register_profile("m3hl", deadline=None)
hypothesis.settings.load_profile("m3hl")

FIXTURES = Path(__file__).parent / "fixtures"
UNPACK = Path(__file__).resolve().parents[2] / "shared" / "tools" / "unpack_data.py"
LAYERS = {2: "unet_layers", 3: "vnet_layers"}
IMAGES = {2: (7, (2, 1, 64, 64)), 3: (8, (2, 1, 48, 48, 48))}
CLASSES = {2: ("right ventricle", "myocardium", "left ventricle"), 3: ("left atrium",)}
SCALE_AND_SHIFT = {"norm_scale": (0.1, 1.0), "norm_shift": (0.1, 0.0), "bias": (0.1, 0.0)}


def pytest_configure():
    """Compute with one thread, in what tests start as well.

    Processes share the cores here: threads that wait for one another meanwhile double the time.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, as processes share the tests file by file."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class Reference:
    """What released code computes: `reference[name]` is a number, a dictionary or an array.

    Args:
        name: of a pair of files in the fixtures' folder.
    """

    def __init__(self, name="reference"):
        self.facts = json.loads((FIXTURES / f"{name}.json").read_text())
        with np.load(FIXTURES / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)

    def __getitem__(self, name):
        return self.facts[name] if name in self.facts else self.arrays[name]

    def tensor(self, name):
        """Return an array as a tensor; label maps and masks as int64."""
        tensor = torch.from_numpy(self.arrays[name])
        return tensor if tensor.is_floating_point() else tensor.long()

    def fill(self, network, dimensions, seed):
        """Give a network the reference weights of `seed`, and turn its dropout off."""
        layers = self.facts[LAYERS[dimensions]]
        assert {layer["where"] for layer in layers} == {name for name, _ in network.named_parameters()}
        with torch.no_grad():
            for layer in layers:
                values, parameter = weights_of(layer, seed), network.get_parameter(layer["where"])
                assert parameter.shape == values.shape
                parameter.copy_(values)
        return dropout_off(network)

    def network(self, dimensions):
        """Return the U-Net or V-Net with the reference weights, without dropout, in eval mode."""
        network = nets.build(dimensions, len(CLASSES[dimensions]) + 1, channels=16)
        return self.fill(network, dimensions, self.facts["seed"]).eval()

    def image(self, dimensions):
        """Return the images that the networks were applied to."""
        seed, shape = IMAGES[dimensions]
        noise = np.random.RandomState(self.facts["seed"] + seed).standard_normal(shape)
        return torch.from_numpy(noise.astype(np.float32))

    def check(self, name, actual, rtol=1e-4):
        """Assert that an array is the reference's, to `rtol` of each value or of their standard deviation."""
        actual, expected = np.asarray(actual), self.arrays[name]
        if every := self.facts.get("every", {}).get(name):
            actual = actual.ravel()[::every]
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * expected.std())


def weights_of(layer, seed):
    """Return the values of a parameter of which a pair's list says index, kind and shape."""
    noise = np.random.RandomState(seed * 1000 + layer["index"]).standard_normal(layer["shape"])
    he = np.sqrt(2 / np.prod(layer["shape"][1:]))
    scale, shift = SCALE_AND_SHIFT.get(layer["kind"], (he, 0.0))
    return torch.from_numpy((scale * noise + shift).astype(np.float32))


def dropout_off(network):
    """Return the network with all dropout rates at 0."""
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return network


@pytest.fixture(scope="session")
def unpack():
    """Return a function that restores the real data sets in a folder (licences forbid to include them)."""
    if not UNPACK.is_file():
        pytest.skip("the real ACDC and LA are not beside the project")

    def restore(folder, *arguments):
        subprocess.run([sys.executable, UNPACK, folder, *arguments], check=True, capture_output=True)

    return restore


@pytest.fixture(scope="session")
def reference():
    """Return the numbers of the released code."""
    return Reference()


@pytest.fixture(scope="session")
def released():
    """Return a function that gives the numbers of another system's released code, by the method's name."""
    return cache(lambda method: Reference(f"methods/{method}"))


@pytest.fixture
def make_settings():
    """Return a function that makes a run's settings: small unless told otherwise, of any preset and options."""

    def make(dimensions, *, method="m3hl", preset=None, crop=None, pairs=1, channels=2, **options):
        module = methods.load(method)
        preset = preset or module.PRESETS[0]
        return RunSettings(
            method=method,
            preset=preset,
            options=module.preset(preset, dimensions) | options,
            dimensions=dimensions,
            classes=CLASSES[dimensions],
            channels=channels,
            crop=crop or {2: (32, 32), 3: (48, 48, 48)}[dimensions],
            labeled_batch=2 * pairs,
            unlabeled_batch=2 * pairs,
            iterations=1,
            validate_every=1,
            selection="last",
            labeled="all",
            seed=0,
        )

    return make


@pytest.fixture
def make_batch():
    """Return a function that makes a batch of noise for a run."""

    def make(settings, seed=0):
        rng = np.random.default_rng(seed)
        count, crop = settings.labeled_batch, settings.crop
        images = rng.standard_normal((2, count, 1, *crop), dtype=np.float32)
        labels = rng.integers(0, len(settings.classes) + 1, (count, *crop))
        labeled, unlabeled = torch.from_numpy(images)
        return Batch(labeled, torch.from_numpy(labels), unlabeled, rng)

    return make


@pytest.fixture
def rng():
    """Return a generator with a fixed seed."""
    return np.random.default_rng(7)
