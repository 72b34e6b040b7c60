"""Schedules and ramps against closed forms, and against torch's own schedulers."""

from math import exp
from types import SimpleNamespace

import pytest
import torch

from m3hl.methods.parts.schedules import gaussian_ramp, polynomial, ramp_of_run, step, warm_up_decay

TOTAL = 30


def by_torch(scheduler, **options):
    """Return the factor of each iteration that one of torch's schedulers gives."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule, factors = scheduler(optimizer, **options), []
    for _ in range(TOTAL):
        factors.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return factors


def test_step():
    expected = by_torch(torch.optim.lr_scheduler.StepLR, step_size=7, gamma=0.1)
    assert [step(t, 7, 0.1) for t in range(TOTAL)] == pytest.approx(expected)


def test_a_step_that_comes_once_is_a_milestone():
    expected = by_torch(torch.optim.lr_scheduler.MultiStepLR, milestones=[20], gamma=0.1)
    assert [step(t, 20, 0.1) for t in range(TOTAL)] == pytest.approx(expected)


def test_polynomial():
    expected = by_torch(torch.optim.lr_scheduler.PolynomialLR, total_iters=TOTAL, power=0.9)
    assert [polynomial(t, TOTAL, 0.9) for t in range(TOTAL)] == pytest.approx(expected)


def test_a_lag_takes_the_iteration_before():
    plain = [polynomial(t, TOTAL, 0.9) for t in range(TOTAL)]
    assert [polynomial(t, TOTAL, 0.9, lag=True) for t in range(TOTAL)] == [1.0, *plain[:-1]]


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0, exp(-5)),
        (149, exp(-5)),
        (150, exp(-5 * 0.75**2)),
        (300, exp(-5 / 4)),
        (599, exp(-5 / 16)),
        (600, 1.0),
        (9999, 1.0),
    ],
)
def test_the_ramp_goes_up_in_stairs(t, expected):
    assert gaussian_ramp(t, 4, every=150) == pytest.approx(expected)


def test_a_ramp_of_no_length_is_at_its_end():
    assert gaussian_ramp(0, 0) == 1


def test_a_ramp_over_a_run_shorter_than_one_stair_begins_at_its_bottom():
    batch = SimpleNamespace(iteration=0, iterations=20)
    assert ramp_of_run(batch, None, 150) == pytest.approx(exp(-5))


def test_the_share_of_a_teacher_that_stays_grows_to_its_decay():
    assert [warm_up_decay(t, 0.99) for t in (0, 1, 3, 98, 99, 1000)] == pytest.approx(
        [0, 0.5, 0.75, 98 / 99, 0.99, 0.99]
    )
