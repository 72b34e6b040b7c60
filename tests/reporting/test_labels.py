"""Labels beside lines and points: near, in order, and never one over another."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3hl.reporting.figures.labels import around, beside_points, outside, overlap, spread_out


@given(st.lists(st.floats(0, 1), max_size=14), st.floats(0.01, 0.2))
def test_labels_at_the_ends_of_lines_keep_order_distance_and_room(places, gap):
    found = spread_out(places, gap, 1.0)
    gap = min(gap, 1.0 / max(len(places) - 1, 1))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in found)
    ordered = [place for _, place in sorted(zip(places, found, strict=True))]
    assert ordered == sorted(ordered)
    assert all(other - one >= gap - 1e-9 for one, other in pairwise(sorted(found)))


def test_labels_that_have_room_stay_where_they_are():
    assert spread_out([0.9, 0.1, 0.5], 0.1, 1.0) == [0.9, 0.1, 0.5]
    assert spread_out([], 0.1, 1.0) == []


@pytest.mark.parametrize("crowd", [[(100, 100)] * 12, [(20 * n, 15 * n) for n in range(12)], [(0, 0), (250, 180)]])
def test_labels_of_points_neither_overlap_nor_stick_out(crowd):
    room = (260.0, 190.0)
    centers = beside_points(crowd, [40.0] * len(crowd), 9.0, room)
    boxes = [around(x, y, 40, 9) for x, y in centers]
    assert sum(overlap(one, other) for one, other in combinations(boxes, 2)) < 0.2 * 40 * 9
    assert all(outside(box, room) < 1e-6 for box in boxes)
