"""The colours of the page by the names of their CSS variables, for files that stand alone."""

import re
from functools import cache
from importlib import resources
from typing import Literal

SERIES = 16
"""So many colours of methods there are; more methods begin again with the first."""


@cache
def palette(ground: Literal["light", "dark"]) -> dict[str, str]:
    """Return the page's colours on light or on dark ground."""
    style = (resources.files("m3hl.reporting") / "templates/style.css").read_text("utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", style)
    return {name: light if ground == "light" else dark for name, light, dark in pairs}


def series_name(index: int) -> str:
    """Return the name of the colour of the method number `index` (from 0)."""
    return f"series-{index % SERIES + 1}"


def series_variable(index: int) -> str:
    """Return the same as a CSS variable."""
    return f"--{series_name(index)}"
