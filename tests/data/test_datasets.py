"""What the data set modules say about files, without any image being read."""

from pathlib import Path

import pytest

from m3hl.config import datasets as known
from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.data import datasets
from m3hl.data.datasets import acdc, custom, la
from m3hl.errors import UserError

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LISTS = SHARED / "data" / "lists"
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="shared/data/lists is not there")


def test_an_unknown_kind_is_refused():
    assert set(known.names()) >= {"acdc", "la", "custom"}
    with pytest.raises(UserError, match="unknown dataset kind 'brats'; there are acdc, custom, la"):
        datasets.load("brats")


def test_public_acdc_has_the_literatures_slices(tmp_path):
    cases = acdc.public_cases(tmp_path)
    groups = list(dict.fromkeys(case.group for case in cases))
    for patients, slices in {1: 32, 3: 68, 7: 136, 14: 256, 21: 396, 28: 512, 35: 664, 70: 1312}.items():
        first = groups[:patients]
        assert sum(len(case.images) for case in cases if case.group in first) == slices
    assert acdc.check_public(cases) == "1312 training slices, 136 of them of the first 7 labeled patients"
    with pytest.raises(UserError, match="expected"):
        acdc.check_public(cases[2:])


@needs_lists
def test_the_first_136_published_slices_are_the_first_seven_patients(tmp_path):
    names = (LISTS / "ACDC" / "train_slices.list").read_text().split()
    cases = acdc.public_cases(tmp_path)
    first = list(dict.fromkeys(case.group for case in cases))[:7]
    ours = {path.stem for case in cases if case.group in first for path in case.images}
    assert ours == set(names[:136])
    everything = {path.stem for case in cases if case.split == "train" for path in case.images}
    assert everything == set(names)


@needs_lists
@pytest.mark.parametrize(("kind", "module"), [("ACDC", acdc), ("LA", la)])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_public_volumes_are_those_of_the_published_lists(tmp_path, kind, module, split):
    published = LISTS / kind / f"{split}.list"
    names = published.read_text().split() if published.is_file() else []
    assert {case.name for case in module.public_cases(tmp_path) if case.split == split} == set(names)


def test_slices_are_in_numerical_order(tmp_path):
    case = next(c for c in acdc.public_cases(tmp_path) if c.name == "patient099_frame01")
    assert [path.stem for path in case.images] == [f"patient099_frame01_slice_{n}" for n in range(1, 17)]


def test_slices_may_lie_in_a_folder_of_their_own(tmp_path):
    assert acdc.public_file(tmp_path, "a_slice_1") == tmp_path / "data" / "a_slice_1.h5"
    (tmp_path / "data" / "slices").mkdir(parents=True)
    assert acdc.public_file(tmp_path, "a_slice_1") == tmp_path / "data" / "slices" / "a_slice_1.h5"
    assert acdc.public_file(tmp_path, "a") == tmp_path / "data" / "a.h5"


@pytest.mark.parametrize("below", ["", "training", "database/training", "ACDC/database/training"])
def test_raw_acdc_finds_the_patients_at_every_level(tmp_path, below):
    (tmp_path / "splits.csv").write_text("group,split\npatient090,train\n")
    patient = tmp_path / below / "patient090"
    patient.mkdir(parents=True)
    (patient / "Info.cfg").write_text("ED: 11\nES: 4\nGroup: MINF\n")
    first, second = acdc.raw_cases(tmp_path)
    assert (first.name, first.images) == ("patient090_frame01", (patient / "patient090_frame04.nii.gz",))
    assert (second.name, second.label) == ("patient090_frame02", patient / "patient090_frame11_gt.nii.gz")
    assert first.notes == (patient / "Info.cfg", tmp_path / "splits.csv")


@pytest.mark.parametrize("text", ["", "ED: 1\n", "ED: 1\nES: late\n"])
def test_an_info_file_without_frames_is_refused(tmp_path, text):
    (tmp_path / "Info.cfg").write_text(text)
    with pytest.raises(UserError, match=r"Info\.cfg: no lines 'ED: <frame>'"):
        acdc.annotated_frames(tmp_path / "Info.cfg")


def test_cautions_follow_the_configuration():
    def cautions(**keys):
        return " ".join(describe(DatasetConfig(kind="la", path="x", **keys)).cautions)

    assert "around the ground truth" in cautions(source="public")
    assert "without a look at the label" in cautions(source="raw", crop_around="center")
    assert "last iteration" in cautions(source="raw")
    assert "last iteration" in cautions(source="raw", hold_out=4)
    assert "last iteration" not in cautions(source="raw", hold_out=4, training={"selection": "val"})
    assert "synthetic" in cautions(source="phantom")


def cases_of(tmp_path, rows, header="case,image,label,split,group"):
    path = tmp_path / "cases.csv"
    path.write_text(f"{header}\n{rows}\n")
    return custom.folder_cases(path)


def test_custom_cases_come_from_the_csv(tmp_path):
    rows = "a,i/a.nii,l/a.nii,train,p1\nb,i/b.nii,,train,\nc,../c.mha,l/c.mha,test,p2"
    a, b, c = cases_of(tmp_path, rows)
    assert (a.group, a.images, a.label) == ("p1", (tmp_path / "i/a.nii",), tmp_path / "l/a.nii")
    assert (b.group, b.label, b.labeled) == ("b", None, False)
    assert (c.split, c.images) == ("test", (tmp_path / "../c.mha",))
    (only,) = cases_of(tmp_path, "a,a.nii,l.nii,test", "case,image,label,split")
    assert only.group == "a"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,a.nii,l.nii,train,p\na,b.nii,l.nii,test,q", "a is in both train and test"),
        ("a,a.nii,l.nii,train,p\nb,b.nii,l.nii,test,p", "group p is in both train and test"),
        ("a,,l.nii,train,", "case a has no image"),
        ("a,a.nii,,test,", "test case a has no label"),
        ("a,a.nii,,val,", "val case a has no label"),
        ("a,a.nii,l.nii,train,", "no case is in the split test, so nothing could be measured; move some there"),
        ("a/b,a.nii,l.nii,train,", "'a/b' cannot name a case"),
        ("..,a.nii,l.nii,train,", "cannot name a case"),
        (",a.nii,l.nii,train,", "'' cannot name a case"),
        ("a,a.nii,l.nii,dev,", "the split 'dev'; there are train, val and test"),
    ],
)
def test_custom_lists_that_cannot_be_right(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        cases_of(tmp_path, rows)
