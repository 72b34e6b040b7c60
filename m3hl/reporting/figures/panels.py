"""One slice in a row of panels, one per method, as in the paper's Fig. 3: a drawing for a file of its own."""

from dataclasses import dataclass
from textwrap import shorten, wrap

from markupsafe import escape

from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.palette import palette, series_name

COLUMNS = 5
WIDTH, GAP, HEAD, FOOT = 150, 10, 24, 40
"""Points: a panel's width, the space between panels, and the text above and below them."""
LEAST = 3 * WIDTH
"""The least width of a row, in which heading and note find room."""
SIGNS = 24
"""Signs that fit into a line below or inside a panel."""


@dataclass(frozen=True)
class View:
    """What is segmented: a slice as a data URI, its extent in pixels, and the outline of the truth."""

    picture: str
    height: int
    width: int
    truth: str


@dataclass(frozen=True)
class Panel:
    """What one method has made of it.

    Attributes:
        label: the method's.
        index: the method's place in the study, which decides its colour.
        score: what stands below the label, e.g. "Dice 81.3".
        outline: SVG path; None where there is no prediction.
        missing: why there is no prediction.
    """

    label: str
    index: int
    score: str
    outline: str | None
    missing: str


def panel_row(name: str, heading: str, view: View, panels: list[Panel], note: str) -> Drawing:
    """Return the image, then each method's outline and the truth's over it; a line of text above and below."""
    image = f"{name}-image"
    cells = [image_cell(view, image), *(method_cell(view, image, panel) for panel in panels)]
    tall = WIDTH * view.height / view.width + FOOT
    places = [(n % COLUMNS * (WIDTH + GAP), HEAD + n // COLUMNS * tall) for n in range(len(cells))]
    width, height = max(LEAST, max(x for x, _ in places) + WIDTH), places[-1][1] + tall + 16 * bool(note)
    description = f"{heading}: the image, and the outlines of truth and prediction over it, method by method."
    markup = [
        f'<svg class="plot" role="img" viewBox="-2 0 {width + 4} {height:g}"><title>{escape(description)}</title>',
        f'<defs><image id="{image}" href="{view.picture}" width="{view.width}" height="{view.height}"/></defs>',
        line(0, 12, heading, 11),
        *(f'<g transform="translate({x} {y:g})">{cell}</g>' for (x, y), cell in zip(places, cells, strict=True)),
        line(0, height - 5, note),
        "</svg>",
    ]
    return Drawing("".join(markup), name, description)


def image_cell(view: View, image: str) -> str:
    """Return the picture alone; below it what the line of the truth looks like."""
    below = WIDTH * view.height / view.width + 15
    return (
        over(view, image, []) + line(0, below, "image") + key(below + 14, "truth") + line(22, below + 14, "truth")
    )


def method_cell(view: View, image: str, panel: Panel) -> str:
    """Return one method's panel, or why it is empty."""
    tall, color = WIDTH * view.height / view.width, series_name(panel.index)
    if panel.outline is None:
        frame = (
            f'<path d="M0 0h{WIDTH}v{tall:g}h-{WIDTH}z" fill="none" stroke="var(--rule)" stroke-dasharray="4 3"/>'
        )
        reason = wrap(f"not yet: {panel.missing}", SIGNS)
        shown = frame + "".join(line(8, 20 + 13 * n, words) for n, words in enumerate(reason))
    else:
        shown = over(view, image, [(view.truth, "truth"), (panel.outline, color)])
    label = line(22, tall + 15, shorten(panel.label, SIGNS, placeholder="…"))
    return shown + key(tall + 15, color) + label + line(22, tall + 29, panel.score)


def over(view: View, image: str, outlines: list[tuple[str, str]]) -> str:
    """Return the picture with outlines over it, each with the name of its colour."""
    scale = WIDTH / view.width
    casing = stroke("".join(path for path, _ in outlines), "#000", 2.6 / scale)
    lines = "".join(stroke(path, palette("dark")[color], 1.3 / scale) for path, color in outlines)
    return f'<g transform="scale({scale:g})"><use href="#{image}"/>{casing}{lines}</g>'


def stroke(path: str, color: str, width: float) -> str:
    """Return a path as a line of a width."""
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width:g}" stroke-linejoin="round"/>'


def key(y: float, color: str) -> str:
    """Return a short line as it looks over a picture, to the left of a text at height `y`."""
    path = f"M1 {y - 3.5:g}h14"
    return stroke(path, "#000", 2.6) + stroke(path, palette("dark")[color], 1.3)


def line(x: float, y: float, words: str, size: float = 9.5) -> str:
    """Return a line of text that starts at a point; nothing without words."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}">{escape(words)}</text>' if words else ""
