"""M³: how many cells are masked, which, and what a mask selects (Eq. 2)."""

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from m3hl.methods.parts.mix import mix
from m3hl.methods.parts.patch_masks import draw_masks

CPU = torch.device("cpu")
GRIDS = [
    ((64, 64), (16, 16)),
    ((32, 96), (8, 32)),
    ((18, 20), (2, 2)),  # 90 cells: 0.7 * 90 is less than 63 in floating point
    ((16, 16, 16), (4, 4, 4)),
    ((28, 28, 20), (7, 7, 5)),
]


def cells_of(masks, patch):
    """Return one value per cell (count, *grid), after checking that cells are of one value."""
    cells = masks[(slice(None), *(slice(None, None, p) for p in patch))]
    np.testing.assert_array_equal(masks, np.kron(cells, np.ones((1, *patch))))
    return cells


def draw(rng, count, crop, patch, ratio):
    return draw_masks(rng, count, crop, patch, ratio, CPU).numpy()


@pytest.mark.parametrize(("crop", "patch"), GRIDS)
@pytest.mark.parametrize("ratio", [0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.99, 1])
def test_exactly_the_ratio_of_the_cells_is_masked(crop, patch, ratio, rng):
    masks = draw(rng, 6, crop, patch, ratio)
    assert masks.shape == (6, *crop)
    assert masks.dtype == np.float32
    assert set(np.unique(masks)) <= {0, 1}
    cells = cells_of(masks, patch).reshape(6, -1)
    assert ((cells == 0).sum(1) == floor(Fraction(str(ratio)) * cells.shape[1])).all()


def test_published_masks_have_16_and_64_cells_of_which_half_are_masked(rng):
    for crop, patch, cells in [((256, 256), (64, 64), 16), ((112, 112, 80), (28, 28, 20), 64)]:
        drawn = cells_of(draw(rng, 1, crop, patch, 0.5), patch)
        assert (drawn.size, (drawn == 0).sum()) == (cells, cells // 2)


def test_every_set_of_cells_is_equally_likely_and_samples_are_independent(rng):
    sets = [draw(rng, 2, (2, 2), (1, 1), 0.5).reshape(2, 4) for _ in range(3600)]
    counts = dict.fromkeys(product(range(6), repeat=2), 0)
    names = {mask: i for i, mask in enumerate(m for m in product((0, 1), repeat=4) if sum(m) == 2)}
    for first, second in sets:
        counts[names[tuple(first)], names[tuple(second)]] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_every_cell_of_a_published_mask_is_equally_likely(rng):
    cells = cells_of(draw(rng, 2000, (16, 16, 16), (4, 4, 4), 0.5), (4, 4, 4)).reshape(2000, -1)
    # Standard error of a cell's frequency: 0.011.
    np.testing.assert_allclose(cells.mean(0), 0.5, atol=0.05)
    # Nor do two cells go together: with half of 64 cells masked, their correlation is -1/63.
    correlation = np.corrcoef(cells.T)[np.triu_indices(64, k=1)]
    np.testing.assert_allclose(correlation, -1 / 63, atol=0.11)


def test_the_generator_decides():
    def masks(seed):
        return draw(np.random.default_rng(seed), 4, (16, 16), (4, 4), 0.5)

    np.testing.assert_array_equal(masks(1), masks(1))
    assert (masks(1) != masks(2)).any()


@pytest.mark.parametrize(("crop", "patch"), GRIDS)
def test_mix_is_equation_2(crop, patch, rng):
    mask = draw_masks(rng, 2, crop, patch, 0.5, CPU)
    inside, outside = rng.standard_normal((2, 2, 1, *crop), dtype=np.float32)
    mixed = mix(torch.from_numpy(inside), torch.from_numpy(outside), mask)
    m = mask.numpy()[:, None]
    np.testing.assert_array_equal(mixed, inside * m + outside * (1 - m))


def test_label_maps_are_mixed_as_integers(rng):
    mask = draw_masks(rng, 2, (8, 8), (2, 2), 0.5, CPU)
    inside, outside = torch.from_numpy(rng.integers(0, 4, (2, 2, 8, 8)))
    mixed = mix(inside, outside, mask)
    assert mixed.dtype == torch.int64
    np.testing.assert_array_equal(mixed, np.where(mask.numpy() == 1, inside, outside))
