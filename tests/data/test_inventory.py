"""The list of files: its digest names contents and not places, and a changed file is found."""

import pytest

from m3hl.data.inventory import Inventory, Verifier, load_inventory, record_files
from m3hl.errors import UserError


def inventory_of(folder):
    files = record_files(folder, [folder / "b", folder / "a", folder / "b"], "list")
    return Inventory(dataset="d", kind="la", source="raw", folder=folder, license="l", citation="c", files=files)


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name * 10)
    return tmp_path


def test_files_are_listed_once_and_sorted(folder):
    assert [(f.path, f.bytes) for f in inventory_of(folder).files] == [("a", 10), ("b", 10)]


def test_it_survives_the_disk(folder):
    inventory = inventory_of(folder)
    inventory.save(folder / "list.json")
    assert load_inventory(folder / "list.json") == inventory


def test_its_digest_names_contents_and_not_places(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in "ab":
        (other / name).write_text(name * 10)
    assert inventory_of(folder).digest() == inventory_of(other).digest()
    (other / "a").write_text("changed")
    assert inventory_of(folder).digest() != inventory_of(other).digest()


@pytest.mark.parametrize("text", ["[]", '{"files": []}', "{", '{"dataset": 1}'])
def test_something_else_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json: .*make it again"):
        load_inventory(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "was there at download and is gone"),
        (lambda path: path.write_text("short"), "5 bytes, expected 10"),
        (lambda path: path.write_text("c" * 10), "SHA-256 differs"),
    ],
)
def test_a_changed_file_is_found(folder, change, message):
    inventory = inventory_of(folder)
    change(folder / "a")
    with pytest.raises(UserError, match=message):
        Verifier(inventory, folder).verify([folder / "b", folder / "a"])


def test_a_file_that_is_not_listed_is_refused(folder):
    (folder / "c").write_text("new")
    with pytest.raises(UserError, match="c: this file is not in the list"):
        Verifier(inventory_of(folder), folder).verify([folder / "c"])
