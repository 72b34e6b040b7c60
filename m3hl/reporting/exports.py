"""Every table and figure of the page as files: CSV, Markdown and LaTeX; SVG and PNG."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import resvg_py
from matplotlib import get_data_path

from m3hl.errors import UserError
from m3hl.files.atomic import make_folder, write_bytes, write_text
from m3hl.files.reading import read_json
from m3hl.reporting.figures.svg import Drawing
from m3hl.reporting.palette import palette
from m3hl.reporting.text import NONE, TEST_MARK, TEST_SELECTED, number

T = TypeVar("T")
ZOOM = 3
"""Pixels of a PNG per point of its drawing."""
FONT = Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
FOLDERS = ("tables", "figures")
"""Beside the page."""
LATEX = {
    "\\": r"\textbackslash{}",
    "–": "--",
    "−": "$-$",
    "<": "$<$",
    "±": r"$\pm$",
    "³": r"\textsuperscript{3}",
    "\u202f": r"\,",
    "\u00a0": "~",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    TEST_MARK: r"\dag{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}


@dataclass(frozen=True)
class Table:
    """A table that a section shows, to be written as files.

    Attributes:
        name: the files' stem, such as "table1".
        caption: one sentence.
        data: the numbers as they are, for CSV.
        shown: the same as a reader wants them, for Markdown and LaTeX; `data` rounded where there is none.
    """

    name: str
    caption: str
    data: pd.DataFrame
    shown: pd.DataFrame | None = None

    @property
    def legend(self) -> str:
        """The caption, and what a dagger in the cells means."""
        marked = any(TEST_MARK in text for row in self.cells for text in row)
        return f"{self.caption} {TEST_MARK} {TEST_SELECTED}" if marked else self.caption

    @property
    def cells(self) -> list[list[str]]:
        """The head and the rows of what is shown."""
        frame = self.data if self.shown is None else self.shown
        return [list(map(str, frame)), *([cell(value) for value in row] for row in frame.itertuples(index=False))]


def cell(value: object) -> str:
    """Return a value as it is shown: two digits, or a dash where there is none."""
    if isinstance(value, float):
        return number(value)
    return NONE if value is None or value is pd.NA else str(value)


def collect(value: Any, kind: type[T]) -> Iterator[T]:
    """Yield every object of a kind in nested dictionaries, lists and tuples, in their order."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        yield from collect(list(value.values()), kind)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from collect(part, kind)


def markdown(table: Table) -> str:
    """Return a table in GitHub's Markdown."""
    head, *rows = [[text.replace("|", r"\|") for text in row] for row in table.cells]
    lines = [head, ["---"] * len(head), *rows]
    return f"{table.legend}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(table: Table) -> str:
    """Return a table for LaTeX with the package booktabs."""
    head, *rows = [" & ".join(escape(text) for text in row) + r" \\" for row in table.cells]
    columns = "l" * len(table.cells[0])
    body = [r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    return (
        "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n"
        f"\\caption{{{escape(table.legend)}}}\n\\begin{{tabular}}{{{columns}}}\n"
        + "\n".join(body)
        + "\n\\end{tabular}\n\\end{table}\n"
    )


def escape(text: str) -> str:
    """Return text in which LaTeX's special signs stand for themselves."""
    return "".join(LATEX.get(sign, sign) for sign in text)


def standalone(drawing: Drawing) -> str:
    """Return a drawing of the page as an SVG file: in the page's light colours, on white."""
    colors = palette("light")
    text = re.sub(r"var\(--([\w-]+)\)", lambda found: colors[found[1]], str(drawing))
    box = re.search(r'viewBox="([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+)"', text)
    x, y, width, height = box.groups()
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {box.group()} '
        f'font-family="DejaVu Sans, sans-serif" fill="{colors["ink"]}">'
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#ffffff"/>'
    )
    return head + text[text.index(">") + 1 :]


def write_exports(contents: Any, folder: Path) -> list[Path]:
    """Write every `Table` of the sections below `folder`/tables and every `Drawing` below `folder`/figures.

    Returns:
        The files that were written.
    """
    written: list[Path] = []
    for kind in FOLDERS:
        make_folder(folder / kind)
    for table in collect(contents, Table):
        stem = folder / "tables" / table.name
        for ending, text in (
            ("csv", table.data.to_csv(index=False, lineterminator="\n")),
            ("md", markdown(table)),
            ("tex", latex(table)),
        ):
            written.append(stem.with_name(f"{table.name}.{ending}"))
            write_text(written[-1], text)
    for drawing in collect(contents, Drawing):
        text = standalone(drawing)
        picture = resvg_py.svg_to_bytes(
            svg_string=text, zoom=ZOOM, font_files=[str(FONT)], font_family="DejaVu Sans"
        )
        for ending, content in (("svg", text.encode()), ("png", bytes(picture))):
            written.append(folder / "figures" / f"{drawing.name}.{ending}")
            write_bytes(written[-1], content)
    return written


def earlier_exports(record: Path) -> set[Path]:
    """Return the tables and figures that the report of a record has written."""
    try:
        outputs = read_json(record, "record")["seal"]["outputs"]
    except (UserError, KeyError, TypeError):
        return set()
    return {record.parent / name for name in outputs if Path(name).parent.name in FOLDERS}
