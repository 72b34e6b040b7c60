"""Imports run one way: what each room of the package may import, and that nothing imports it back."""

import subprocess
import sys

import pytest

from m3hl.provenance.fingerprint import every_module, imports

BOTTOM = {"errors", "progress"}
SETTINGS = {*BOTTOM, "files", "config"}
DATA = {*SETTINGS, "nets", "data", "provenance"}
ARITHMETIC = {*DATA, "compute", "inference"}
MAY_IMPORT = {
    "errors": set(),
    "progress": set(),
    "nets": BOTTOM,
    "files": BOTTOM,
    "config": {*BOTTOM, "files"},
    "data": SETTINGS,
    "provenance": {*SETTINGS, "data"},
    "compute": DATA,
    "inference": DATA,
    "methods": ARITHMETIC,
    "training": {*ARITHMETIC, "methods"},
    "evaluation": ARITHMETIC,
    "testing": {*ARITHMETIC, "methods", "training"},
    "reporting": {*ARITHMETIC, "evaluation"},
    "doctor": DATA,
    "orchestration": {*ARITHMETIC, "training"},
    "options": BOTTOM,
    "commands": {
        *ARITHMETIC,
        "options",
        "methods",
        "training",
        "evaluation",
        "reporting",
        "doctor",
        "orchestration",
        "testing",
    },
    "cli": {*BOTTOM, "provenance"},
    "__main__": {"cli"},
}
"""A room is a folder of the package, or a file in its hall."""


def room(module):
    """Return the room of a module's name; "" for the package itself, which holds a version only."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", list(every_module()))
def test_a_module_imports_only_what_its_room_may(module):
    allowed = {"", room(module), *MAY_IMPORT.get(room(module), set())}
    assert {room(name) for name in imports(module)} <= allowed


def test_no_room_imports_one_that_imports_it():
    assert not [(a, b) for a in MAY_IMPORT for b in MAY_IMPORT[a] if a in MAY_IMPORT[b]]


def test_every_room_is_in_the_table():
    assert {room(name) for name in every_module()} == {"", *MAY_IMPORT}


def test_the_order_of_the_table_is_that_of_the_imports():
    order = list(MAY_IMPORT)
    assert all(order.index(below) < order.index(above) for above in order for below in MAY_IMPORT[above])


def test_help_answers_without_the_big_libraries():
    code = "import sys, m3hl.cli; print({'torch', 'pandas', 'h5py', 'SimpleITK'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
