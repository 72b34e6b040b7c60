"""What the tests of the methods share."""

import numpy as np
import pytest
import torch


@pytest.fixture
def rng():
    """Return a generator with a fixed seed."""
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def _seeded():
    """Fix torch's random numbers: initial weights, dropout and the tests' own."""
    torch.manual_seed(0)
