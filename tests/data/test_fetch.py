"""Fetching against a server on this machine that breaks off, stalls, lies and refuses."""

import hashlib

import pytest
import requests

from m3hl.data.fetch import fetch
from m3hl.errors import UserError

BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def get(server, tmp_path, impatient):
    server.files["/file"] = BODY

    def run(name="file", **known):
        with requests.Session() as session:
            fetch(session, server.url + name, tmp_path / "sub" / "file", patience=impatient, **known)
        return (tmp_path / "sub" / "file").read_bytes()

    return run


def leftovers(tmp_path):
    return sorted(path.name for path in (tmp_path / "sub").iterdir())


@pytest.mark.parametrize("known", [{}, {"size": len(BODY)}, {"sha256": SHA256, "size": len(BODY)}])
def test_fetches_the_file_and_leaves_nothing_else(get, tmp_path, known):
    assert get(**known) == BODY
    assert leftovers(tmp_path) == ["file"]


def test_a_broken_connection_is_resumed_where_it_broke(get, server):
    server.faults = ["break", "break"]
    assert get(sha256=SHA256) == BODY
    starts = [start for _, start in server.requests]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2] < len(BODY)


def test_a_stalled_connection_is_given_up_and_resumed(get, server):
    server.faults = ["stall"]
    assert get(sha256=SHA256) == BODY
    assert server.requests[1][1] > 0


def test_a_server_that_ignores_ranges_starts_again(get, server):
    server.faults = ["break", "plain"]
    assert get(sha256=SHA256) == BODY


def test_a_busy_server_is_asked_again(get, server):
    server.faults = [503, 429]
    assert get() == BODY


def test_a_file_without_a_known_length_arrives(get, server):
    server.faults = ["endless"]
    assert get() == BODY


def test_what_an_earlier_run_left_is_continued(get, server, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.part").write_bytes(BODY[:1000])
    assert get(sha256=SHA256) == BODY
    assert server.requests == [("/file", 1000)]


def test_a_left_over_longer_than_the_file_is_thrown_away(get, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.part").write_bytes(BODY + b"more")
    assert get() == BODY


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"sha256": "0" * 64}, "SHA-256 of what arrived is not the expected one"),
        ({"size": len(BODY) + 5}, f"{len(BODY)} bytes arrived, expected {len(BODY) + 5}"),
        ({"size": len(BODY) - 5}, f"{len(BODY)} bytes arrived, expected {len(BODY) - 5}"),
    ],
)
def test_a_wrong_file_is_refused_and_removed(get, tmp_path, known, message):
    with pytest.raises(UserError, match=message):
        get(**known)
    assert leftovers(tmp_path) == []


def test_a_missing_file_is_not_asked_for_twice(get, server):
    with pytest.raises(UserError, match="HTTP status 404"):
        get("nothing")
    assert len(server.requests) == 1


def test_a_server_that_stays_broken_is_given_up_and_what_arrived_is_kept(get, server, tmp_path):
    server.faults = ["break"] + 10 * [503]
    with pytest.raises(UserError, match="what has arrived is kept"):
        get()
    assert (tmp_path / "sub" / "file.part").stat().st_size > 0


def test_no_server_at_all(tmp_path, impatient):
    with requests.Session() as session, pytest.raises(UserError, match="cannot be fetched"):
        fetch(session, "http://127.0.0.1:9/x", tmp_path / "x", patience=impatient)
