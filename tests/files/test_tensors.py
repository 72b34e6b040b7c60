"""Files of tensors: what goes in comes out, and no damage goes unnoticed."""

import numpy as np
import pytest
import torch

from m3hl.errors import UserError
from m3hl.files.tensors import content_digest, load_tensors, save_tensors

VALUE = {
    "format": "x",
    "network": {"weight": torch.arange(600.0).view(2, 300), "count": torch.tensor(3)},
    "rows": [{"loss": 0.1, "step": 1}, {"loss": None, "step": 2}],
    "random": torch.zeros(100, dtype=torch.uint8),
}


@pytest.fixture
def path(tmp_path):
    save_tensors(tmp_path / "file.pt", VALUE)
    return tmp_path / "file.pt"


def test_what_goes_in_comes_out(path):
    assert content_digest(load_tensors(path, "file")) == content_digest(VALUE)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "y"},
        {"rows": VALUE["rows"][:1]},
        {"rows": [{"loss": 0.1, "step": 1}, {"loss": None, "step": 3}]},
        {"network": {"weight": VALUE["network"]["weight"].T, "count": torch.tensor(3)}},
        {"network": {"weight": VALUE["network"]["weight"].double(), "count": torch.tensor(3)}},
        {"network": {"weights": VALUE["network"]["weight"], "count": torch.tensor(3)}},
        {"more": 1},
    ],
)
def test_every_part_counts_in_the_digest(change):
    assert content_digest(VALUE | change) != content_digest(VALUE)


def test_the_order_in_memory_does_not_count():
    image = torch.randn(2, 3, 4, 5)
    assert content_digest([image]) == content_digest([image.contiguous(memory_format=torch.channels_last)])


@pytest.mark.parametrize("damage", ["one bit", "zeros", "cut"])
def test_random_damage_is_found_or_did_no_harm(path, damage):
    rng, whole, found = np.random.default_rng(0), np.frombuffer(path.read_bytes(), np.uint8), 0
    for _ in range(200):
        content, place = whole.copy(), rng.integers(len(whole))
        if damage == "one bit":
            content[place] ^= 1 << rng.integers(8)
        elif damage == "zeros":
            content[place : place + 64] = 0
        else:
            content = content[:place]
        path.write_bytes(content.tobytes())
        try:
            # Bytes of the container that nobody reads, such as padding, may change.
            assert content_digest(load_tensors(path, "file")) == content_digest(VALUE)
        except UserError as error:
            assert "this file is damaged or no file" in str(error)  # noqa: PT017
            found += 1
    assert found > 100
