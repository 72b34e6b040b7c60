"""Preparing ahead: the right results in any order, begun early, and errors where they belong."""

import threading

import pytest

from m3hl.data.ahead import Ahead


def test_results_are_those_of_the_function_in_any_order():
    ahead = Ahead(lambda iteration: iteration**2)
    for iteration in (0, 1, 2, 7, 8, 3, 3, 4):
        assert ahead(iteration) == iteration**2
    ahead.close()


def test_the_next_one_is_begun_before_it_is_asked_for():
    begun = [threading.Event() for _ in range(3)]
    ahead = Ahead(lambda iteration: begun[iteration].set())
    ahead(0)
    assert begun[1].wait(timeout=10)
    assert not begun[2].is_set()
    ahead.close()


def test_an_error_comes_when_its_iteration_is_asked_for():
    def fail_at_2(iteration):
        if iteration == 2:
            raise ValueError("damaged")
        return iteration

    ahead = Ahead(fail_at_2)
    assert [ahead(0), ahead(1)] == [0, 1]
    with pytest.raises(ValueError, match="damaged"):
        ahead(2)
    ahead.close()
