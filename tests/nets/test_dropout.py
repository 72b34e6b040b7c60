"""Dropout: how often, which values, and that the mean stays."""

import pytest
import torch
from scipy import stats

from m3hl.nets.dropout import Dropout

RATES = [0.05, 0.1, 0.2, 0.3, 0.5]


def dropped(rate, shape=(4, 16, 32, 32), memory_format=torch.contiguous_format):
    """Return where ones were dropped, after checking that every other value is scaled."""
    x = torch.ones(shape).contiguous(memory_format=memory_format)
    y = Dropout(rate)(x)
    assert y.stride() == x.stride()
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - rate)), rtol=2e-5, atol=0)
    return y == 0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_are_dropped_at_the_rate_in_every_channel_and_place(rate, memory_format):
    torch.manual_seed(3)
    where = torch.cat([dropped(rate, memory_format=memory_format) for _ in range(8)]).double()
    for axes in ((0, 1, 2, 3), (0, 2, 3), (0, 1), (1, 2, 3)):
        counts = where.sum(axes).flatten()
        size = where.numel() // counts.numel()
        pvalues = [stats.binomtest(int(n), size, rate).pvalue for n in counts]
        assert min(pvalues) > 1e-4 / len(pvalues), axes


def test_neighbours_are_dropped_independently():
    torch.manual_seed(4)
    # Four values share a 64-bit number, so that the lags 1 to 3 are the ones to look at.
    where = dropped(0.5, (1, 1, 512, 512)).flatten().double() - 0.5
    for lag in (1, 2, 3, 4, 8):
        correlation = (where[:-lag] * where[lag:]).mean() / 0.25
        assert abs(correlation) < 5 / len(where) ** 0.5


def test_the_seed_decides():
    def drawn(seed):
        torch.manual_seed(seed)
        return dropped(0.3)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 1, 5, 1), (2, 3, 3, 7)])
def test_any_number_of_values_will_do(shape):
    assert dropped(0.5, shape).shape == shape


def test_gradients_pass_where_values_do():
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 2.0))


def test_nothing_is_dropped_in_evaluation_or_at_rate_0():
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
