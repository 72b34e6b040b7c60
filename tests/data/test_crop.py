"""The window that a raw scan is cropped to: always inside, always large enough, never through the label."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from m3hl.config.datasets.description import Roi
from m3hl.data.crop import center_window, label_window, widened


@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 59), st.integers(0, 30), st.integers(1, 80))
def test_widened(size, a, b, margin, least):
    low, high = sorted((min(a, size - 1), min(b, size - 1)))
    window = widened(low - margin, high + 1 + margin, least, size)
    length = window.stop - window.start
    assert 0 <= window.start <= low
    assert high < window.stop <= size
    assert length == max(min(high + 1 + margin, size) - max(low - margin, 0), min(least, size))


def test_margins_are_random_but_belong_to_the_case():
    label = np.zeros((200, 200, 10), np.uint8)
    label[80:140, 90:120, 4] = 1
    roi = Roi(margin=(10, 20), least=(10, 10), center=(50, 50))
    windows = {name: label_window(label, roi, name) for name in ("a", *map(str, range(200)))}
    assert windows["a"] == label_window(label, roi, "a")
    assert {80 - x.start for x, _, _ in windows.values()} == set(range(10, 21))
    for x, y, z in windows.values():
        assert 10 <= 80 - x.start <= 20
        assert 10 <= x.stop - 140 <= 20
        assert 10 <= 90 - y.start <= 20
        assert 10 <= y.stop - 120 <= 20
        assert z == slice(0, 10)


def test_a_window_has_the_least_size_where_the_scan_allows():
    label = np.zeros((150, 90, 10), np.uint8)
    label[2:5, 40:45, 3] = 1
    x, y, _ = label_window(label, Roi(margin=(10, 20), least=(112, 112), center=(1, 1)), "case")
    assert (x.start, x.stop) == (0, 112)
    assert (y.start, y.stop) == (0, 90)


def test_the_middle_does_not_depend_on_the_label():
    roi = Roi(margin=(10, 20), least=(1, 1), center=(320, 320))
    assert center_window((640, 576, 88), roi) == (slice(160, 480), slice(128, 448), slice(0, 88))
    assert center_window((100, 321, 88), roi) == (slice(0, 100), slice(0, 320), slice(0, 88))
