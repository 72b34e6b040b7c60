"""The challenge's archive: fetched, unpacked in part, refused when it is damaged or hostile."""

import io
import zipfile

import pytest

from m3hl.data.archive import fetch_raw
from m3hl.data.datasets import acdc, la
from m3hl.data.split import OWN
from m3hl.errors import UserError


def zipped(hearts, *more, root="ACDC/database"):
    """Return the archive's bytes, laid out as the challenge does, with members that are not needed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(hearts.rglob("patient*/*")):
            file.write(path, f"{root}/training/{path.relative_to(hearts).as_posix()}")
        file.writestr(f"{root}/training/patient001/patient001_4d.nii.gz", b"large")
        file.writestr(f"{root}/testing/patient101/Info.cfg", b"ED: 1")
        file.writestr(f"{root}/MANDATORY_CITATION.md", b"cite")
        for name, data in more:
            file.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def fetch(server, hearts, tmp_path, impatient):
    (tmp_path / OWN).write_text((hearts / OWN).read_text())

    def run(archive):
        server.files["/download"] = archive
        fetch_raw(acdc, "acdc", tmp_path, url=server.url + "download", patience=impatient)
        return tmp_path

    return run


def test_unpacks_exactly_what_is_needed(fetch, hearts, server, caplog):
    folder = fetch(zipped(hearts))
    unpacked = {p.relative_to(folder / "database/training") for p in folder.rglob("patient*/*")}
    assert unpacked == {p.relative_to(hearts) for p in hearts.rglob("patient*/*")}
    assert not (folder / "acdc.zip").exists()
    assert "not the archive that is known" in caplog.text
    for case in acdc.raw_cases(folder):
        for path in case.data_paths():
            assert path.read_bytes() == (hearts / path.parent.name / path.name).read_bytes()


def test_a_complete_folder_is_left_alone(fetch, hearts, server):
    fetch(zipped(hearts))
    fetch(b"")
    assert len(server.requests) == 1


def test_a_half_unpacked_folder_is_completed(fetch, hearts):
    folder = fetch(zipped(hearts))
    victim = next(folder.rglob("*_gt.nii.gz"))
    victim.unlink()
    fetch(zipped(hearts))
    assert victim.is_file()


@pytest.mark.parametrize("name", ["../evil", "/evil", "ACDC/../../evil", "..\\evil"])
def test_a_member_that_leads_outside_is_refused(fetch, hearts, tmp_path, name):
    with pytest.raises(UserError, match="leads outside of the folder"):
        fetch(zipped(hearts, (name, b"x")))
    assert not list(tmp_path.parent.glob("evil"))


@pytest.mark.parametrize(("first", "count"), [(200, 1), (20, 60)], ids=["its checksum", "its compression"])
def test_a_damaged_member_is_found_by(fetch, hearts, first, count):
    archive = bytearray(zipped(hearts))
    at = archive.index(b"_frame01.nii.gz") + first
    for place in range(at, at + count):
        archive[place] ^= 255
    with pytest.raises(UserError, match="the archive is damaged"):
        fetch(bytes(archive))


def test_a_truncated_archive_is_damaged(fetch, hearts):
    with pytest.raises(UserError, match="the archive is damaged"):
        fetch(zipped(hearts)[:-5000])


def test_another_archive_is_refused(fetch, hearts):
    with pytest.raises(UserError, match="holds none of the files"):
        fetch(zipped(hearts, root="elsewhere"))


def test_la_names_the_page_to_go_to(tmp_path):
    with pytest.raises(UserError, match=r"by hand from https://www\.cardiacatlas\.org"):
        fetch_raw(la, "la", tmp_path)
