"""Two processes compute what one computes, to the rounding of sums."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from m3hl import methods
from m3hl.compute.team import Team
from m3hl.errors import UserError
from m3hl.training.interruption import SAVED
from tests.compute import interrupt_a_team, train_in_a_team

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ROOT = Path(__file__).parents[2]
CASES = train_in_a_team.CASES


@pytest.fixture(scope="module")
def of_two():
    """Return what two processes compute in each case."""
    done = subprocess.run(
        [*TORCHRUN, train_in_a_team.__file__], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_losses_weights_and_statistics_are_those_of_one_process(of_two, case):
    one, two = train_in_a_team.train(*case, Team()), of_two[case]
    assert (one.pop("processes"), two.pop("processes")) == (1, 2)
    assert len(one["losses"]) == 3
    for losses, expected in zip(two["losses"], one["losses"], strict=True):
        assert losses == pytest.approx(expected, rel=1e-4)
    for name in ("student", "teacher"):
        # Biases before a batch norm have no gradient but rounding errors.
        assert two[name]["parameters"] == pytest.approx(one[name]["parameters"], rel=1e-5, abs=1e-4)
        assert two[name]["statistics"] == pytest.approx(one[name]["statistics"], rel=1e-4)
        assert two[name]["counted"] == one[name]["counted"]


@pytest.mark.parametrize("options", [{"forward": "joint"}, {"supervised_loss": True}])
def test_streams_that_share_anything_are_not_shared_out(options, make_settings):
    with pytest.raises(UserError, match="two processes take one stream each: that needs forward: separate and no"):
        methods.build(make_settings(2, **options)).join(Team(0, 2))


def test_the_baseline_is_trained_by_one_process(make_settings):
    with pytest.raises(UserError, match="method supervised is trained by one process"):
        methods.build(make_settings(2, method="supervised")).join(Team(1, 2))


def test_alone_a_process_computes_with_both_streams():
    team, stream = Team(), torch.ones(2)
    assert team.own(("a", "b")) == ("a", "b")
    assert team.gather([stream, stream]) == [stream, stream]
    assert team.sum([torch.tensor(2.0), torch.tensor(3.0)]) == 5
    assert Team(1, 2).own(("a", "b")) == ("b",)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "first", "second"),
    [
        (1, f"SIGTERM at iteration 2: {SAVED}", f"a signal to another process at iteration 2: {SAVED}"),
        (9, f"SIGTERM at iteration 6: {SAVED}", "ended"),
    ],
    ids=["on the way", "at the end"],
)
def test_both_end_in_good_order_where_the_first_is_told_to_while_it_validates(
    make_store, tmp_path, call, first, second
):
    # Of 2 networks and 2 cases each: calls 1 to 4 after iteration 2, 9 to 12 after iteration 6, the last.
    script = ["-m", interrupt_a_team.__name__, make_store(2), tmp_path, str(call)]
    done = subprocess.run([*TORCHRUN, *script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == [first, second]
