"""Fetching the public files one by one, against a manifest made for the purpose."""

import hashlib
from urllib.parse import quote

import pytest

from m3hl.data import public
from m3hl.data.datasets import acdc, la
from m3hl.data.manifest import Entry, read_manifest
from m3hl.errors import UserError


@pytest.fixture
def published(server, monkeypatch):
    """Return a manifest of three LA scans, which the server has."""
    manifest = {}
    for name in ("one", "two", "three"):
        body, path = name.encode() * 1000, f"data/2018LA_Seg_Training Set/{name}/mri_norm2.h5"
        server.files["/" + quote(path)] = body
        manifest[name] = Entry(path, len(body), hashlib.sha256(body).hexdigest(), (1, 1, 1), "", "")
    monkeypatch.setattr(public, "read_manifest", lambda kind: manifest)
    monkeypatch.setattr(public, "read_split", lambda folder, kind: dict.fromkeys(manifest, "train"))
    return manifest


def test_fetches_what_is_missing(published, server, tmp_path, impatient):
    there = la.public_file(tmp_path, "two")
    there.parent.mkdir(parents=True)
    there.write_bytes(b"kept as it is")
    public.fetch_public(la, "la", tmp_path, base=server.url, patience=impatient)
    assert la.public_file(tmp_path, "one").read_bytes() == b"one" * 1000
    assert la.public_file(tmp_path, "three").read_bytes() == b"three" * 1000
    assert there.read_bytes() == b"kept as it is"
    assert len(server.requests) == 2


def test_another_content_of_the_same_length_is_refused(published, server, tmp_path, impatient):
    for path, body in server.files.items():
        server.files[path] = body[::-1]
    with pytest.raises(UserError, match=r"mri_norm2\.h5: the SHA-256"):
        public.fetch_public(la, "la", tmp_path, base=server.url, patience=impatient)
    assert not list(tmp_path.rglob("*.h5"))


def test_a_file_that_left_the_server_is_named(published, server, tmp_path, impatient):
    server.files.clear()
    with pytest.raises(UserError, match=r"one/mri_norm2\.h5: the server answers with HTTP status 404"):
        public.fetch_public(la, "la", tmp_path, base=server.url, patience=impatient)


@pytest.mark.parametrize(("module", "kind", "count"), [(acdc, "acdc", 1372), (la, "la", 100)])
def test_the_packaged_manifest_covers_every_public_file(module, kind, count, tmp_path):
    manifest = read_manifest(kind)
    paths = {path for case in module.public_cases(tmp_path) for path in case.images}
    assert len(manifest) == count
    assert paths == {module.public_file(tmp_path, name) for name in manifest}
    for entry in manifest.values():
        assert {len(entry.sha256), len(entry.image_sha256), len(entry.label_sha256)} == {64}
        assert entry.bytes > 0
