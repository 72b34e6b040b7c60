"""A study of other methods, M³HL not among them, has a whole page as well."""

import pytest

from m3hl.config.experiment import parse_config
from m3hl.reporting.choice import choices
from m3hl.reporting.comparison import ended_rows
from m3hl.reporting.page import gather, render
from m3hl.reporting.sections import answer, method
from m3hl.reporting.study import load_study
from m3hl.reporting.text import percent, signed
from tests.reporting.table1_study import table1_values, write_table1

METHODS = ("cutmix", "supervised", "dtc", "sassnet", "ss-net", "mc-net")


def config_of(names, datasets=("acdc", "la")):
    """Return the configuration of these methods on real data, and on copies of it."""
    values = table1_values()
    kinds = {name: values["datasets"][name.removesuffix("-too")] for name in datasets}
    block = {"dataset": list(datasets), "method": list(names), "labeled": [7], "seed": [1, 2]}
    return parse_config(
        values | {"datasets": kinds, "methods": {name: {"method": name} for name in names}, "experiments": [block]}
    )


def study_of(folder, names, datasets=("acdc", "la")):
    """Return such a study with made-up numbers."""
    config = config_of(names, datasets)
    write_table1(folder, config, cases=6)
    return load_study(config, folder)


def mean_dice(study, dataset):
    """Return the mean test Dice of each method, by name, over seeds and cases."""
    rows = study.metrics[study.metrics["dataset"] == dataset]
    return rows.groupby("method")["dice"].mean()


def test_the_answer_is_the_best_method_of_each_data_set(tmp_path):
    study = study_of(tmp_path, METHODS)
    said = answer.content(study)
    assert (said["heading"], said["question"]) == ("table1", "Which method segments best with few labels?")
    for sentence, dataset in zip(said["sentences"], ("acdc", "la"), strict=True):
        dice = mean_dice(study, dataset)
        first, second = dice.drop("supervised").nlargest(2).items()
        labels = [study.methods[name].label for name, _ in (first, second)]
        assert sentence.startswith(f"On {dataset} with 7 labeled "), sentence
        assert f", {labels[0]} " in sentence
        assert percent(first[1]) in sentence
        assert percent(dice["supervised"]) in sentence
        assert sentence.endswith(f", the most of 5 methods; {labels[1]} is second with {percent(second[1])}.")


def test_the_only_method_is_not_called_the_best(tmp_path):
    first, _ = answer.content(study_of(tmp_path, ("supervised", "dtc")))["sentences"]
    assert "labeled patients, DTC " in first
    assert "the most of" not in first


def test_many_data_sets_are_summed_up(tmp_path):
    study = study_of(tmp_path, METHODS, ("acdc", "la", "acdc-too"))
    (sentence,) = answer.content(study)["sentences"]
    gains = []
    for dataset in study.datasets:
        dice = mean_dice(study, dataset)
        gains.append(dice.drop("supervised").max() - dice["supervised"])
    assert "The best method of each data set is above supervised training with every seed in " in sentence
    assert (
        f" of 3 comparisons; its mean gain in Dice lies between {signed(min(gains))} and {signed(max(gains))} "
        in sentence
    )


@pytest.mark.parametrize(
    "names",
    [
        ("dtc", "cutmix"),
        ("supervised",),
    ],
)
def test_a_study_that_can_have_no_answer_says_so(tmp_path, names):
    first, *_ = answer.content(study_of(tmp_path, names))["sentences"]
    assert first == (
        "There is no answer: it takes another method and supervised training with the same labels and network."
    )


def test_an_answer_that_is_still_to_come(tmp_path):
    first, *_ = answer.content(load_study(config_of(("supervised", "dtc")), tmp_path))["sentences"]
    assert first == (
        "There is no answer yet: no seed has ended both with another method and with supervised training."
    )


def test_five_supervised_trainings_have_a_page(tmp_path):
    values, names = table1_values(), [f"s{n}" for n in range(5)]
    methods = {
        name: {"method": "supervised", "options": {"learning_rate": 0.01 * (n + 1)}}
        for n, name in enumerate(names)
    }
    block = {"dataset": ["acdc"], "method": names, "labeled": [7], "seed": [1]}
    config = parse_config(values | {"methods": methods, "experiments": [block]})
    write_table1(tmp_path, config, cases=6)
    study = load_study(config, tmp_path)
    assert [choice.shown for choice in choices(study)] == [True, False, False, False, False]
    assert "There is no answer" in render(study, gather(study))


def test_the_page_does_not_describe_m3hl_or_compare_with_it(tmp_path):
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
