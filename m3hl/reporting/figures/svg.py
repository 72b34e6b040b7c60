"""Inline SVG from matplotlib: small, without dates, in the page's own colours and font.

Figures are drawn in placeholder colours, which become CSS variables here, so that one drawing is legible on
light and dark ground alike.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from m3hl.reporting import palette

INK, MUTED, RULE = "#0a0b01", "#0a0b02", "#0a0b03"
SERIES = tuple(f"#0a0c{n:02x}" for n in range(palette.SERIES))
"""Placeholders of the methods' colours."""
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule"} | {
    color: palette.series_variable(n) for n, color in enumerate(SERIES)
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "m3hl",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.4,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


class Drawing(Markup):
    """An `<svg>` element in the page's colours, which is written as a file too.

    Attributes:
        name: unique on the page; the file's stem.
        description: what a reader who cannot see it is told.
    """

    name: str
    description: str

    def __new__(cls, markup: str, name: str, description: str) -> "Drawing":
        drawing = super().__new__(cls, markup)
        drawing.name, drawing.description = name, description
        return drawing


def series(index: int) -> str:
    """Return the placeholder colour of the series number `index` (from 0)."""
    return SERIES[index % len(SERIES)]


def belongs(index: int, *artists: Artist, kind: str = "") -> None:
    """Let what is drawn of the method number `index` have the class by which the page shows and hides it.

    `kind` is one more class.
    """
    for artist in artists:
        artist.set_gid(f"{kind}-of-{index}" if kind else f"of-{index}")


@contextmanager
def panel(width: float = 3.6, height: float = 2.4) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure of `width` × `height` inches with one pair of axes, in the page's style."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def inline(figure: Figure, name: str, description: str) -> Drawing:
    """Return a figure as an `<svg>` element.

    Args:
        figure: drawn in the colours above.
        name: unique on the page; it prefixes the ids inside the drawing.
        description: what a reader who cannot see the figure is told.
    """
    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    # Matplotlib releases differ in how they write fonts.
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    # A hundredth of a point is enough; matplotlib writes a millionth, and most of a figure is numbers.
    text = re.sub(r'="[^"]*"', rounded, text)
    text = re.sub(r'\bid="(?:(\w+)-)?of-(\d+)"', lambda found: f'class="{classes(*found.groups())}"', text)
    text = re.sub(r"\bid=\"", f'id="{name}-', text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"(href=\"|url\()#", rf"\1#{name}-", text)
    for color, variable in VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    box = re.search(r'viewBox="[^"]*"', text)
    head = f'<svg class="plot" role="img" {box.group() if box else ""}>'
    body = re.sub(r"\n\s*", "\n", text[text.index(">") + 1 :])
    return Drawing(f"{head}<title>{escape(description)}</title>{body}", name, description)


def classes(kind: str | None, index: str) -> str:
    """Return the classes of what `belongs` to a method."""
    return f"{kind} of-{index}" if kind else f"of-{index}"


def rounded(attribute: re.Match[str]) -> str:
    """Return an attribute with its numbers rounded to two digits."""
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", attribute[0])
