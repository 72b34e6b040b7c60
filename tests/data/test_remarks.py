"""Warnings about one's own scans: each thing once, with the cases named, and none where all is well."""

from dataclasses import replace

import pytest

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.data.frame import Frame
from m3hl.data.remarks import Look, remarks

FRAME = Frame("LPS", (1.0, 1.0, 2.0))


def description(dimensions=3):
    return describe(
        DatasetConfig(kind="custom", source="folder", path="x", dimensions=dimensions, classes=["liver", "tumor"])
    )


def look(name, split, **changes):
    usual = Look(name, name, split, (64, 64, 30), (1.0, 1.0, 2.0), "LPS", (0.0, 100.0, 900.0), (0.02, 0.001))
    return replace(usual, **changes)


def looks(**odd):
    """Return eight cases, the third of which differs as told."""
    splits = ["train"] * 5 + ["val", "test", "test"]
    names = ["adam", "bert", "cora", "dora", "emil", "fred", "gina", "hans"]
    return [look(n, s, **(odd if n == "cora" else {})) for n, s in zip(names, splits, strict=True)]


def test_nothing_is_said_of_scans_that_are_alike():
    assert remarks(looks(), FRAME, description()) == []
    assert remarks(looks(), Frame(), description()) == []


@pytest.mark.parametrize(
    ("odd", "frame", "message"),
    [
        ({"orientation": "RAS"}, Frame(), "orientation: none leaves it so: cora (RAS); the others are LPS"),
        ({"spacing": (1.0, 1.0, 8.0), "size": (64, 64, 8)}, Frame(), "cora (1×1×8 mm); the median is 1×1×2 mm"),
        ({"size": (64, 64, 200)}, FRAME, "another extent than the others: cora (64×64×400 mm)"),
        ({"levels": (0.0, 10000.0, 65000.0)}, FRAME, "intensities unlike the others': cora (0 to 6.5e+04)"),
        ({"levels": (0.0, 0.1, 0.9)}, FRAME, "intensities unlike the others': cora (0 to 0.9)"),
        ({"levels": (9000.0, 9100.0, 9900.0)}, FRAME, "intensities unlike the others': cora (9000 to 9900)"),
        ({"shares": (0.0, 0.0)}, FRAME, "no structure at all, taken as it is: cora"),
        (
            {"shares": (0.6, 0.0)},
            FRAME,
            "of an odd size: cora (60 %) of the voxels; the median is 2.1 %",
        ),
        ({"shares": (0.0001, 0.0)}, FRAME, "label map of an odd size: cora (0.01 %)"),
    ],
)
def test_an_odd_scan_is_named_once(odd, frame, message):
    (said,) = remarks(looks(**odd), frame, description())
    assert message in said


def test_images_of_a_case_that_changed_places_are_named():
    one, two = (0.0, 100.0, 900.0), (-3.0, 0.0, 3.0)
    alike = [replace(each, levels=one + two) for each in looks()]
    assert remarks(alike, FRAME, description()) == []
    odd = [replace(each, levels=two + one) if each.name == "cora" else each for each in alike]
    (said,) = remarks(odd, FRAME, description())
    assert "unlike the others': cora (-3 to 3 and 0 to 900); the median is 0 to 900 and -3 to 3" in said


def test_what_is_brought_together_is_not_said():
    assert remarks(looks(orientation="RAS", spacing=(1.0, 1.0, 3.0)), FRAME, description()) == []


def test_slices_of_another_size_are_named():
    (said,) = remarks(looks(size=(64, 64, 60)), Frame("LPS"), description(2))
    assert "slices of another size, and all are resized to the crop: cora (64×120 mm)" in said


def test_classes_that_nobody_can_learn_or_see_are_named():
    without = [replace(one, shares=(0.02, 0.0)) if one.split != "test" else one for one in looks()]
    assert remarks(without, FRAME, description()) == [
        "no train label map holds tumor: nobody can learn it",
        "no val label map holds tumor: validation does not see it",
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["p01_a", "p02_a", "p03_a", "p01_b"], True),
        (["p01", "p02", "p03", "p04"], False),
        (["site1_01", "site1_02", "site1_03", "site1_04", "site1_05"], False),
        (["anna", "bert", "cora", "dora"], False),
    ],
)
def test_cases_that_seem_to_be_of_one_patient(names, said):
    found = [look(name, "test" if name == names[-1] else "train") for name in names]
    expected = [
        "by their names of one patient, but in several splits: p01_a (train), p01_b (test); a column group"
    ]
    assert [one.partition(" would")[0] for one in remarks(found, FRAME, description())] == expected * said
    together = [replace(one, group="all") for one in found]
    assert remarks(together, FRAME, description()) == []


def test_many_names_are_cut_short():
    found = [look(f"case{n}x", "train", shares=(0.0, 0.0)) for n in range(15)]
    assert "no structure at all, taken as it is: case0x, " in "".join(remarks(found, FRAME, description()))
    assert "case9x and 5 more" in "".join(remarks(found, FRAME, description()))
