"""The chain of results: a whole one fits, and each way of breaking a link is named."""

import json
import shutil
from pathlib import Path

import h5py
import pytest

from m3hl.cli import STAGES
from m3hl.provenance.records import write_record
from tests.commands.conftest import HEARTS, Study, invoke, own_logging

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
RUN = "runs/d/m3hl/labeled-2/seed-1"


class Placed(Study):
    """A study whose files lie as the workflow puts them."""

    def __init__(self, folder):
        super().__init__(folder / "data", HEARTS)
        self.results, self.run = folder, folder / RUN
        self.values["experiments"] = [{"dataset": ["d"], "method": ["m3hl"], "labeled": [2], "seed": [1]}]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a study that has gone through every stage; each test takes back what it changes."""
    study = Placed(tmp_path_factory.mktemp("results") / "tiny")
    with own_logging():
        for stage in ("download", "preprocess", "train", "evaluate"):
            assert invoke(*study(stage)) is None
        assert invoke("report", "--config", study.config(), "--results", study.results) is None
    return study


@pytest.fixture
def verify(program, made):
    """Return a function that verifies the results; it returns exit code, lines and errors."""

    def run():
        code, out, err = program("verify", made.results)
        return code, out.splitlines(), err

    return run


@pytest.fixture
def changing(made):
    """Return a function that gives the path of a result, which is put back at the end."""
    kept = {}

    def path(name):
        file = made.results / name
        kept[file] = file.read_bytes() if file.is_file() else None
        return file

    yield path
    for file, content in kept.items():
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)


def test_a_whole_chain_fits(verify, made):
    code, lines, _ = verify()
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith(f"{made.results}: ")
    assert lines[0].endswith("everything fits")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/d.json", ["has changed since download", "is another now than the one used by preprocess"]),
        (f"{RUN}/last.pt", ["has changed since train"]),
        (f"{RUN}/history.csv", ["has changed since train", "is another now than the one used by report"]),
        (f"{RUN}/best.pt", ["has changed since train", "is another now than the one used by evaluate"]),
        (f"{RUN}/metrics.csv", ["has changed since evaluate", "is another now than the one used by report"]),
        (f"{RUN}/predictions.h5", ["has changed since evaluate", "is another now than the one used by report"]),
        (f"{RUN}/run.json", ["is another now than the one used by report"]),
        ("report.html", ["has changed since report"]),
        ("table1.csv", ["has changed since report"]),
    ],
)
def test_an_edited_file_is_named_with_who_made_and_who_read_it(verify, changing, name, expected):
    file = changing(name)
    file.write_bytes(file.read_bytes() + b"\n")
    code, lines, err = verify()
    assert code == 1
    for line, what in zip(sorted(lines), expected, strict=True):
        assert line.startswith(f"{name}: {what}")
    things = "1 thing does" if len(expected) == 1 else f"{len(expected)} things do"
    assert f"{things} not fit; take them back, or use snakemake --forcerun" in err


def test_a_raw_image_that_changed_is_named(verify, changing, made):
    raw = next(made.raw.rglob("*.nii.gz")).relative_to(made.results)
    file = changing(raw)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    code, lines, _ = verify()
    assert code == 1
    assert len(lines) == 1
    assert raw.name in lines[0]


def test_a_voxel_that_changed_is_named_though_every_record_agrees(verify, changing):
    store, record = changing("data/d.h5"), changing("data/d.h5.provenance")
    with h5py.File(store, "r+") as file:
        image = file["cases/patient001_frame01/image"]
        image[0, 0, 0] += 1
    values = json.loads(record.read_text())
    values["seal"]["outputs"] = {}
    record.write_text(json.dumps(values))
    _, lines, _ = verify()
    assert any("the image of patient001_frame01 differs from its digest" in line for line in lines)
    assert "data/d.h5: no record says who made it" in lines


@pytest.mark.parametrize("name", ["data/d.json.provenance", "data/d.h5.provenance", f"{RUN}/evaluation.json"])
def test_a_record_that_was_edited_is_named(verify, changing, name):
    record = changing(name)
    record.write_text(record.read_text().replace('"peak_memory', '"peak_nemory', 1))
    code, lines, _ = verify()
    assert code == 1
    assert any(line.startswith(f"{name}: this record has been edited since ") for line in lines)


def test_a_file_that_is_gone_is_named(verify, changing):
    changing(f"{RUN}/last.pt").unlink()
    code, lines, _ = verify()
    assert (code, lines) == (1, [f"{RUN}/last.pt: the file is gone, train ({RUN}/run.json) had it"])


def test_a_file_that_nobody_made_is_named(verify, changing):
    changing(f"{RUN}/val-metrics.csv").write_text("dice\n100\n")
    assert verify()[:2] == (1, [f"{RUN}/val-metrics.csv: no record says who made it"])


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"seal": {"stage": "train"}}'])
def test_a_record_without_a_seal_is_named(verify, changing, text):
    changing(f"{RUN}/evaluation.json").write_text(text)
    code, lines, _ = verify()
    assert code == 1
    assert any("evaluation.json: this record" in line for line in lines)
    assert f"{RUN}/metrics.csv: no record says who made it" in lines


def test_source_that_changed_since_is_only_mentioned(verify, monkeypatch):
    monkeypatch.setattr(
        "m3hl.provenance.verify.current", lambda name: "0" if name == "evaluation/metrics.py" else None
    )
    code, lines, _ = verify()
    assert code == 0
    notes = [line for line in lines if line.startswith("note: evaluate would run other source now: ")]
    assert "evaluation/metrics.py" in notes[0]


def test_an_empty_folder_is_a_mistake(mistake, tmp_path):
    code, line = mistake("verify", tmp_path)
    assert code == 1
    assert "there are no records of results here" in line


def test_the_records_name_stages_of_the_command_line(made):
    records = [*made.results.glob("data/*.provenance"), made.run / "run.json", made.results / "report.json"]
    assert {json.loads(path.read_text())["seal"]["stage"] for path in records} <= set(STAGES)


def test_a_run_in_the_place_of_another_is_named(verify, made):
    other = made.run.with_name("seed-2")
    shutil.copytree(made.run, other)
    try:
        code, lines, _ = verify()
    finally:
        shutil.rmtree(other)
    assert code == 1
    assert lines == [
        f"{RUN[:-1]}2/run.json: this record is of another run than the one whose place it takes",
    ]


def test_raw_files_of_another_machine_are_counted(verify, made):
    moved = made.raw.rename(made.raw.with_name("moved"))
    try:
        code, lines, _ = verify()
    finally:
        moved.rename(made.raw)
    assert code == 0
    number = len(json.loads(made.files.read_text())["files"])
    assert lines[0] == f"note: {number} raw files are not on this machine and were not compared"


def test_a_runs_record_that_does_not_say_which_run_it_is_of_is_named(verify, changing):
    record = changing(f"{RUN}/run.json")
    values = json.loads(record.read_text())
    del values["dataset"]
    record.write_text(json.dumps(values))
    code, lines, _ = verify()
    assert code == 1
    assert f"{RUN}/run.json: this record is of another run than the one whose place it takes" in lines


@pytest.fixture
def published(made, tmp_path):
    """Return a copy of the results without what may not be shared."""
    copy = tmp_path / "published"
    shutil.copytree(made.results, copy, ignore=shutil.ignore_patterns("*.h5", "*.pt", "*.html", "*.png", "*.svg"))
    return copy


def test_a_published_copy_fits_without_volumes_weights_and_pictures(program, published, made):
    code, out, _ = program("verify", "--published", published)
    names = {path.relative_to(made.results) for path in made.results.rglob("*")}
    missing = names - {path.relative_to(published) for path in published.rglob("*")}
    assert code == 0
    assert (
        f"note: {len(missing)} volumes, weights, pages and pictures are left out of this copy" in out.splitlines()
    )


@pytest.mark.parametrize("study", ["table1-cpu", "acdc-partial"])
def test_a_study_in_this_repository_fits(program, monkeypatch, tmp_path, study):
    # Elsewhere raw files of that name may lie, which are none of its business.
    monkeypatch.chdir(tmp_path)
    code, out, _ = program("verify", "--published", REFERENCE / study)
    assert (code, out.splitlines()[-1].endswith("everything fits")) == (0, True), out


def test_without_the_option_what_is_left_out_is_named(program, published):
    code, out, _ = program("verify", published)
    assert code == 1
    assert f"{RUN}/best.pt: the file is gone, train ({RUN}/run.json) had it" in out.splitlines()


@pytest.mark.parametrize("name", [f"{RUN}/metrics.csv", f"{RUN}/history.csv", "table1.csv", "tables/cost.csv"])
@pytest.mark.parametrize("edit", ["changed", "gone"])
def test_numbers_of_a_published_copy_must_fit(program, published, name, edit):
    file = published / name
    if edit == "gone":
        file.unlink()
    else:
        file.write_text(file.read_text().replace("1", "2"))
    code, out, _ = program("verify", "--published", published)
    assert code == 1
    assert any(line.startswith(f"{name}: ") for line in out.splitlines())


def test_a_picture_of_a_published_copy_must_fit_where_it_is_there(program, published, made):
    picture = sorted((made.results / "figures").glob("*.png"))[0]
    (published / "figures").mkdir(exist_ok=True)
    (published / "figures" / picture.name).write_bytes(picture.read_bytes() + b" ")
    code, out, _ = program("verify", "--published", published)
    assert code == 1
    assert any(line.startswith(f"figures/{picture.name}: has changed since report") for line in out.splitlines())


def test_what_is_left_out_was_the_same_for_all_who_read_it(program, published):
    """Trained again and not evaluated again: no weights are there to be compared, but the records are."""
    record = published / RUN / "run.json"
    values = json.loads(record.read_text())
    values["seal"]["outputs"]["best.pt"] = "0" * 64
    write_record(record, {key: value for key, value in values.items() if key != "sha256"})
    code, out, _ = program("verify", "--published", published)
    assert code == 1
    assert (
        f"{RUN}/best.pt: is another now than the one used by evaluate ({RUN}/evaluation.json)" in out.splitlines()
    )


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("data/d.h5.provenance", "data/d.h5"),
        (f"{RUN}/run.json", f"{RUN}/best.pt"),
        (f"{RUN}/evaluation.json", f"{RUN}/predictions.h5"),
    ],
)
def test_what_is_left_out_has_a_record_of_who_made_it(program, published, record, expected):
    (published / record).unlink()
    code, out, _ = program("verify", "--published", published)
    assert code == 1
    assert f"{expected}: it is left out, and no record says who made it" in out.splitlines()


def test_a_folder_in_the_place_of_a_picture_is_not_left_out(program, published, made):
    picture = sorted((made.results / "figures").glob("*.png"))[0]
    (published / "figures" / picture.name).mkdir(parents=True)
    code, out, _ = program("verify", "--published", published)
    assert code == 1
    assert any(line.startswith(f"figures/{picture.name}: the file is gone") for line in out.splitlines())
