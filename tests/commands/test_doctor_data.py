"""What `m3hl doctor` says about the files of data sets."""

import pytest

from m3hl.config.experiment import parse_config
from m3hl.data.datasets import acdc, la
from m3hl.doctor.data import datasets
from m3hl.doctor.finding import Finding


def data(needed=True, **dataset):
    """Return what is found of a study with one data set."""
    values = {
        "name": "mine",
        "datasets": {"d": dataset},
        "methods": {"supervised": {"method": "supervised"}},
        "experiments": [{"dataset": ["d"], "method": ["supervised"], "labeled": [1]}],
    }
    (found,) = datasets(parse_config(values), needed=needed)
    return found


def test_phantoms_need_no_files():
    assert data(kind="la", source="phantom") == Finding("Data: d (mine)", "synthetic, drawn by the pipeline")


@pytest.mark.parametrize(("kind", "module"), [("acdc", acdc), ("la", la)])
@pytest.mark.parametrize("needed", [True, False])
def test_public_data_that_are_not_there_are_told_with_where_to_get_them(tmp_path, kind, module, needed):
    found = data(kind=kind, source="public", path=tmp_path / "no", needed=needed)
    assert found.found == f"{tmp_path / 'no'}: there is no such folder"
    assert found.needed == needed
    assert found.advice.startswith(f"get them from {module.PUBLIC.page} (or add download: true")


def test_data_that_the_workflow_fetches_are_not_needed(tmp_path):
    found = data(kind="acdc", source="public", path=tmp_path / "no", download=True)
    assert found.mark == "○"
    assert found.advice.startswith(f"nothing to do: the workflow fetches them from {acdc.PUBLIC.page}")


def test_raw_la_cannot_be_fetched(tmp_path):
    found = data(kind="la", source="raw", path=tmp_path / "no", download=True)
    assert found.mark == "✗"
    assert found.advice == f"get them from {la.RAW.page}, or correct path"


def test_public_data_that_are_there_are_counted(tmp_path):
    for case in la.public_cases(tmp_path):
        for path in case.all_paths():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert data(kind="la", source="public", path=tmp_path).found == f"100 cases, 100 files in {tmp_path}"
    path.unlink()
    found = data(kind="la", source="public", path=tmp_path)
    assert found.found == f"1 of 100 files are missing: {path}"
    assert found.needed


def test_a_scan_of_ones_own_that_is_missing_is_named(tmp_path):
    (tmp_path / "cases.csv").write_text(
        "case,image,label,split\na,a.nii.gz,a.nii.gz,train\nb,a.nii.gz,a.nii.gz,test\n"
    )
    found = data(kind="custom", source="folder", path=tmp_path / "cases.csv", dimensions=3, classes=["liver"])
    assert found.needed
    assert str(tmp_path / "a.nii.gz") in found.found
    assert found.advice.startswith(f"correct {tmp_path / 'cases.csv'}")


def test_a_wrong_configuration_is_one_line(mistake, tmp_path):
    (tmp_path / "c.yaml").write_text("name: x\n")
    assert mistake("doctor", "--config", tmp_path / "c.yaml")[1].startswith(f"m3hl: error: {tmp_path}/c.yaml: ")
