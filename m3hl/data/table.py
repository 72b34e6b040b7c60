"""CSV files with a header, read strictly."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from m3hl.errors import UserError
from m3hl.files.reading import read_text


def read_table(path: Path, what: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV file, without the spaces around its values.

    Semicolons or tabs may stand in the commas' place, as spreadsheets write them.

    Args:
        path: the file.
        what: what the file is, for error messages.
        columns: the columns that it must have.

    Raises:
        UserError: the file is missing or unreadable, lacks a column, or has a row of another length.
    """
    with csv_rows(path, what) as rows:
        return read_rows(rows, path, what, columns)


def read_header(path: Path, what: str) -> list[str]:
    """Return the names of a CSV file's columns; the arguments are those of `read_table`."""
    with csv_rows(path, what) as rows:
        return header_of(rows)


@contextmanager
def csv_rows(path: Path, what: str) -> Iterator[Any]:
    """Yield a CSV file's reader, whose mistakes within are one line; the arguments are those of `read_table`."""
    text = read_text(path, what).removeprefix("\ufeff")
    rows = csv.reader(io.StringIO(text), delimiter=delimiter(text))
    try:
        yield rows
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: this is no CSV ({error}); mend the line") from error


def header_of(rows: Any) -> list[str]:
    """Return the names in the first row that a CSV reader delivers, [] of an empty file."""
    return [name.strip() for name in next(rows, [])]


def delimiter(text: str) -> str:
    """Return what stands between the values: a comma, or in its place a semicolon or a tab.

    Spreadsheets write semicolons where the comma is the decimal sign.

    >>> delimiter("case;image\\na;b,c")
    ';'
    """
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def read_rows(rows: Any, path: Path, what: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows below the header that a CSV reader delivers; arguments as of `read_table`."""
    header = header_of(rows)
    missing = [name for name in columns if name not in header]
    if missing:
        raise UserError(f"{path}: this {what} has no column {', '.join(missing)}; its first line must name them")
    table = []
    for row in rows:
        if len(row) not in (0, len(header)):
            raise UserError(
                f"{path}, line {rows.line_num}: {len(row)} values, expected {len(header)}; mend the row"
            )
        if row:
            table.append(dict(zip(header, (value.strip() for value in row), strict=True)))
    return table
