"""Every test of a method begins with the same random numbers."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    """Fix torch's random numbers: initial weights, dropout and the tests' own."""
    torch.manual_seed(0)
