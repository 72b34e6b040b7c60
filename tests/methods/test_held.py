"""Every method of ours is held to what one of a user's own is, by the same functions."""

import pytest

from m3hl.config import methods
from m3hl.methods.parts import distances
from m3hl.testing import checks
from tests.small_runs import small_options

ALL = methods.names()
KILLED = ("m3hl", "supervised", "cutmix", "cps", "ua-mt", "mc-net")
"""The others are killed in tests/training/test_killed.py."""
ON_SLICES = dict.fromkeys(checks.CHECKS[1:], ALL) | {
    checks.check_killed: KILLED,
    checks.check_gradients: [name for name in ALL if name != "ss-net"],
}
ON_VOLUMES = {
    checks.check_deterministic: ("m3hl",),
    checks.check_killed: ("m3hl",),
    checks.check_no_waiting: [name for name in ALL if 3 in methods.dimensions(name)],
}


def held(table):
    """Return the parameters of a test for each check of a table and each method that is held to it."""
    pairs = [(check, name) for check, names in table.items() for name in names]
    return pytest.mark.parametrize(("check", "method"), pairs, ids=[f"{c.__name__}-{name}" for c, name in pairs])


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch):
    """Measure distances as a GPU does, which nobody waits for."""
    monkeypatch.setattr(distances, "nearest_on_host", distances.nearest_on_device)


@held(ON_SLICES)
def test_on_slices(check, method):
    check(method, 2, small_options(method, 2))


@held(ON_VOLUMES)
def test_on_volumes(check, method):
    check(method, 3, small_options(method, 3))


def test_of_ss_net_no_more_than_what_has_no_work_as_released_gets_no_gradient():
    with pytest.raises(AssertionError, match=r"^ss-net: no gradient reaches (prototypes\.[\w.]+(, )?)+$") as said:
        checks.check_gradients("ss-net", 2, small_options("ss-net", 2))
    idle = str(said.value).partition(" reaches ")[2].split(", ")
    # Biases before batch norm, and selectors of a memory that is kept without a gradient.
    assert all(name.endswith(".bias") or name.startswith("prototypes.selectors.") for name in idle)


@pytest.mark.slow
def test_all_of_them_on_volumes():
    checks.check_all("mean-teacher", 3, small_options("mean-teacher", 3))
