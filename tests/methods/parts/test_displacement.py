"""ABD's displacement: the released code's cells, and its rule in plain NumPy."""

import numpy as np
import pytest
import torch

from m3hl.methods.parts.displacement import cells_of, displaced, whole
from tests.methods.pasting import repeat

COINS = {"kl": [1, 1, 1, 1], "argmax": [0, 0, 0, 0], "mixed": [1, 0, 0, 1]}


def inputs(seed):
    """Return logits of both views and both views, as the page draws them."""
    random = np.random.RandomState(seed * 84)
    logits = []
    for _ in range(2):
        fine, coarse = random.standard_normal((4, 4, 64, 64)), random.standard_normal((4, 4, 4, 4))
        logits.append(torch.from_numpy((fine + 3 * repeat(coarse, 16)).astype(np.float32)))
    images = [torch.from_numpy(random.rand(4, 1, 64, 64).astype(np.float32)) for _ in range(2)]
    return logits, images


@pytest.mark.parametrize("name", COINS)
def test_cells_are_displaced_as_by_the_released_code(released, name):
    numbers = released("abd")
    row = numbers["displacement"][name]
    logits, images = inputs(numbers["seed"])
    moved = displaced(tuple(images), tuple(logits), torch.tensor(COINS[name]).bool(), 4)
    for i, expected in enumerate(row["moves"]):
        before, after = ([cells_of(view[i : i + 1])[0] for view in views] for views in (images, moved))
        changed = [
            [k for k in range(16) if not torch.equal(b[k], a[k])] for b, a in zip(before, after, strict=True)
        ]
        assert changed == [[expected["weak_cell"]], [expected["strong_cell"]]]
        assert torch.equal(after[0][expected["weak_cell"]], before[1][expected["from_strong_cell"]])
        assert torch.equal(after[1][expected["strong_cell"]], before[0][expected["from_weak_cell"]])
    both = torch.cat(moved).double().flatten(1)
    k = torch.arange(1, both.shape[1] + 1)
    found = torch.stack([both.sum(1), (both * k).sum(1) / k.sum()], dim=1)
    np.testing.assert_allclose(found, row["images"], rtol=1e-6)
    if name == "mixed":
        numbers.check("displaced_mixed", torch.cat(moved)[:, 0], 1e-6)


def softmax(x):
    e = np.exp(x - x.max(0, keepdims=True))
    return e / e.sum(0, keepdims=True)


@pytest.mark.parametrize("top", [1, 2, 4])
def test_displacement_in_numpy(rng, top):
    images, logits = rng.random((2, 3, 1, 32, 32)), rng.standard_normal((2, 3, 3, 32, 32))
    logits += 2 * np.kron(rng.standard_normal((2, 3, 3, 4, 4)), np.ones((8, 8)))
    coins = np.array([True, False, True])
    moved = displaced(
        *(tuple(map(torch.from_numpy, pair)) for pair in (images, logits)), torch.from_numpy(coins), top
    )

    def cell(x, number):
        row, column = divmod(number, 4)
        return x[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]

    for i in range(3):
        confidence = [[cell(softmax(view[i]).max(0), k).mean() for k in range(16)] for view in logits]
        classes = [[softmax(cell(view[i], k).mean((1, 2))) for k in range(16)] for view in logits]
        low = [int(np.argmin(c)) for c in confidence]
        best = [list(np.argsort(c)[::-1][:top]) for c in confidence]
        chosen = []
        for own, other in ((0, 1), (1, 0)):
            t = classes[own][low[own]]
            cost = [(t * (np.log(t) - np.log(classes[other][j]))).sum() for j in best[other]]
            chosen.append(best[other][int(np.argmin(cost))] if coins[i] else best[other][0])
        expected = images[:, i].copy()
        cell(expected[0], low[0])[:] = cell(images[1, i], chosen[0])
        cell(expected[1], low[1])[:] = cell(expected[0], chosen[1])
        for view in range(2):
            np.testing.assert_array_equal(moved[view][i], expected[view])


def test_cells_are_counted_row_by_row_and_put_together_again(rng):
    maps = torch.from_numpy(rng.random((2, 3, 16, 32)))
    cells = cells_of(maps)
    assert cells.shape == (2, 16, 3, 4, 8)
    assert torch.equal(cells[:, 6], maps[:, :, 4:8, 16:24])
    assert torch.equal(whole(cells), maps)


def test_no_gradient_passes(rng):
    logits = torch.randn(2, 3, 16, 16, requires_grad=True)
    images = torch.rand(2, 1, 16, 16)
    moved = displaced((images, images), (logits, logits), torch.tensor([True, False]), 4)
    assert not any(view.requires_grad for view in moved)
