"""A study of other methods, M³HL not among them, has a whole page as well."""

import pytest

from m3hl.config.experiment import parse_config
from m3hl.reporting.choice import choices
from m3hl.reporting.comparison import best, compared, ended_rows, run_dice
from m3hl.reporting.page import gather, render
from m3hl.reporting.sections import answer, method
from m3hl.reporting.study import load_study
from tests.reporting.table1_study import table1_values, write_table1

METHODS = ("cutmix", "supervised", "dtc", "sassnet", "ss-net", "mc-net")


def study_of(folder, names, datasets=("acdc", "la")):
    """Return a study of these methods on real data, and on copies of it, with made-up numbers."""
    values = table1_values()
    kinds = {name: values["datasets"][name.removesuffix("-too")] for name in datasets}
    block = {"dataset": list(datasets), "method": list(names), "labeled": [7], "seed": [1, 2]}
    config = parse_config(
        values | {"datasets": kinds, "methods": {name: {"method": name} for name in names}, "experiments": [block]}
    )
    write_table1(folder, config, cases=6)
    return load_study(config, folder)


def test_the_answer_is_the_best_method_of_each_data_set(tmp_path):
    study = study_of(tmp_path, METHODS)
    said = answer.content(study)
    assert said["question"] == "Which method segments best with few labels?"
    for sentence, dataset in zip(said["sentences"], ("acdc", "la"), strict=True):
        dice = {name: compared(run_dice(study), *rows(study, dataset, name)) for name in METHODS}
        name = max((n for n in METHODS if n != "supervised"), key=lambda n: dice[n].dice)
        label = study.methods[name].label
        assert sentence.startswith(f"On {dataset} with 7 labeled "), sentence
        assert f", the best of 5 methods, {label}, " in sentence, sentence


def rows(study, dataset, name):
    found = {row.method: row for row in study.rows(dataset)}
    return found[name], found["supervised"]


def test_the_only_method_is_not_called_the_best(tmp_path):
    first, _ = answer.content(study_of(tmp_path, ("supervised", "dtc")))["sentences"]
    assert "labeled patients, DTC " in first


def test_many_data_sets_are_summed_up(tmp_path):
    study = study_of(tmp_path, METHODS, ("acdc", "la", "acdc-too"))
    (sentence,) = answer.content(study)["sentences"]
    above = sum(min(comparison.gains) > 0 for comparison in best(study))
    assert sentence.startswith(f"The best method is above supervised training with every seed in {above} of 3 ")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("dtc", "cutmix"), "There is no answer: the study has no supervised training to compare with."),
        (("supervised",), "There is no answer yet: no seed has ended both with another method and with"),
    ],
)
def test_it_says_what_is_missing_for_an_answer(tmp_path, names, expected):
    first, *_ = answer.content(study_of(tmp_path, names))["sentences"]
    assert first.startswith(expected)


def test_the_page_does_not_speak_of_m3hl(tmp_path):
    study = study_of(tmp_path, METHODS)
    assert method.content(study) is None
    page = render(study, gather(study))
    assert "M³HL −" not in page
    assert "M³HL against" not in page
    assert "Read “− Supervised” as the row's method minus supervised training. ▲" in page


def test_supervised_training_and_the_first_other_method_are_shown_at_first(tmp_path):
    study = study_of(tmp_path, METHODS)
    assert [choice.label for choice in choices(study) if choice.shown] == ["CutMix", "Supervised"]
    assert [row.method for row in ended_rows(study, "acdc")] == ["cutmix", *METHODS[2:], "supervised"]
