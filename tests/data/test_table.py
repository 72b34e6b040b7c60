"""CSV files: accepted with the freedoms that spreadsheets take, refused with the line that is wrong."""

import pytest

from m3hl.data.split import OWN, read_split
from m3hl.data.table import read_header, read_table
from m3hl.errors import UserError


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        "\ufeffa,b\r\n1,2\r\n",
        "b,a\n2,1",
        'a , b\n" 1 ", 2 \n\n',
        "a,b,more\n1,2,3\n",
        "a;b;c\n1;2;3,4\n",
        "a\tb\n1\t2\n",
    ],
)
def test_reads_what_spreadsheets_write(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    (row,) = read_table(tmp_path / "t.csv", "table", ("a", "b"))
    assert (row["a"], row["b"]) == ("1", "2")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no column a, b"),
        (b"a:b\n1:2\n", "has no column a, b"),
        (b"a;b\n1;2\n3\n", "line 3: 1 values, expected 2"),
        (b"a,b\n1,2\n3\n", "line 3: 1 values, expected 2"),
        (b"a,b\n\xff\xfe,2\n", "cannot read this table"),
    ],
)
def test_refuses_what_is_no_such_table(tmp_path, data, message):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "t.csv", "table", ("a", "b"))


def test_the_packaged_split_is_the_literatures(tmp_path):
    splits = read_split(tmp_path, "acdc")
    train = [group for group, split in splits.items() if split == "train"]
    assert train[:7] == [f"patient{n:03}" for n in (99, 38, 50, 100, 58, 21, 49)]
    assert {int(g[-3:]) for g, s in splits.items() if s == "val"} == {2, 19, 28, 30, 39, 45, 78, 82, 85, 87}
    assert sum(s == "test" for s in splits.values()) == 20
    scans = list(read_split(tmp_path, "la").values())
    assert (scans.count("train"), scans.count("test")) == (80, 20)


def test_a_split_in_the_data_folder_goes_first(tmp_path):
    (tmp_path / OWN).write_text("group,split\nb,train\na,train\nc,test\n")
    assert list(read_split(tmp_path, "acdc").items()) == [("b", "train"), ("a", "train"), ("c", "test")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,train\na,test\n", "a is in both train and test"),
        ("a,train\na,train\n", "a is in train twice"),
        ("a,training\n", "split 'training'; there are train, val and test"),
    ],
)
def test_a_group_is_in_one_known_split(tmp_path, rows, message):
    (tmp_path / OWN).write_text("group,split\n" + rows)
    with pytest.raises(UserError, match=message):
        read_split(tmp_path, "acdc")


def test_a_header_that_is_no_csv_is_one_line(tmp_path):
    (tmp_path / "t.csv").write_text("a," + "b" * 200_000 + "\n1,2\n")
    with pytest.raises(UserError, match=r"t\.csv, line 1: this is no CSV"):
        read_header(tmp_path / "t.csv", "table")
