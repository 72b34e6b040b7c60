"""A method to begin with, and its test, as files."""

import re
from pathlib import Path

from m3hl.errors import UserError
from m3hl.files.atomic import write_text

TEMPLATES = Path(__file__).parent / "templates"


def write_skeleton(name: str, folder: Path) -> list[Path]:
    """Write a method called `name` and its test into a folder, and return the files.

    Raises:
        UserError: the name is none of a Python module, or a file is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"{name}: use small letters, digits and underscores, such as my_method")
    files = {folder / f"{name}.py": "method.py.txt", folder / f"test_{name}.py": "test.py.txt"}
    for file in files:
        if file.exists():
            raise UserError(f"{file}: this file is there already; choose another name")
    for file, template in files.items():
        write_text(file, (TEMPLATES / template).read_text(encoding="utf-8").replace("NAME", name))
    return list(files)
