"""Table 1 beside the paper's, the tests of all methods as a matrix, Dice against cost, and the answer."""

import dataclasses
import json
import re
from math import isnan

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from m3hl.config.experiment import MethodConfig, parse_config
from m3hl.reporting.against_paper import paper_rows, stands_for
from m3hl.reporting.case_tests import ALPHA
from m3hl.reporting.casewise import case_tests
from m3hl.reporting.choice import FEW, choices
from m3hl.reporting.comparison import compare_all
from m3hl.reporting.facts import method_facts
from m3hl.reporting.page import gather, render
from m3hl.reporting.published import table1
from m3hl.reporting.sections import answer, cases, cost, results
from m3hl.reporting.side_by_side import agreement, ranks
from m3hl.reporting.study import load_study
from m3hl.reporting.tests_matrix import matrix
from tests.own import write_network
from tests.reporting.table1_study import table1_config, table1_values, write_table1

KINDS = {"acdc": 7, "la": 8}


def metrics(folder, dataset, method):
    """Return the Dice of cases (rows) and seeds, by code of its own."""
    runs = sorted(folder.glob(f"runs/{dataset}/{method}/labeled-*/seed-*/metrics.csv"))
    return pd.concat([pd.read_csv(run).groupby("case", sort=False)["dice"].mean() for run in runs], axis=1)


def of(study, dataset):
    """Return what the results section shows of a data set."""
    return next(d for d in results.content(study)["datasets"] if d["facts"].name == dataset)


@pytest.mark.parametrize("dataset", KINDS)
def test_print_order_printed_and_reproduced_numbers_and_both_ranks(table1_study, table1_results, dataset):
    pairs = of(table1_study, dataset)["pairs"]
    printed = [pair.printed for pair in pairs if pair.printed]
    assert printed == list(table1(dataset))
    assert not any(pair.printed for pair in pairs[len(printed) :])
    dice = {}
    for pair in pairs:
        if pair.line:
            dice[pair.label] = metrics(table1_results, dataset, pair.line.row.method).mean().mean()
            assert pair.dice[1] == pytest.approx(dice[pair.label])
    order = sorted(dice, key=dice.get, reverse=True)
    assert {pair.label: pair.rank for pair in pairs if pair.rank} == {name: n for n, name in enumerate(order, 1)}
    there = sorted((row for row in printed if not isnan(row.dice)), key=lambda row: -row.dice)
    assert [row.method for row in there] == [
        pair.printed.method
        for pair in sorted((p for p in pairs if p.printed_rank), key=lambda pair: pair.printed_rank)
    ]


def test_methods_that_the_paper_lacks_stand_below_and_turned_knobs_do_not(table1_study):
    pairs = of(table1_study, "acdc")["pairs"]
    published = {row.ours for row in table1("acdc")}
    facts = table1_study.methods
    more = [
        name for name, method in facts.items() if method.as_published("acdc") and method.algorithm not in published
    ]
    assert [pair.line.row.method for pair in pairs if not pair.printed] == more
    turned = {
        name for name, method in facts.items() if not method.as_published("acdc") and name != method.algorithm
    }
    assert turned.isdisjoint(pair.line.row.method for pair in pairs if pair.line)


@pytest.mark.parametrize("size", [(), ("iterations 400 (published: 30 000)",)], ids=["published", "small"])
def test_turned_knobs_and_other_networks_stand_for_no_row_but_where_a_small_study_scales_them(table1_study, size):
    dataset = dataclasses.replace(table1_study.datasets["acdc"], differences=size)
    ours, own, scaled, beside = (
        method_facts(name, MethodConfig(method="cps", **values))
        for name, values in (
            ("cps", {}),
            ("cps", {"network": "./net.py"}),
            ("cps", {"options": {"ramp_step": 20}}),
            ("cps-fast", {"options": {"ramp_step": 20}}),
        )
    )
    assert (ours.label, ours.note, stands_for(ours, dataset)) == ("CPS", "default settings", True)
    assert (own.label, own.note, stands_for(own, dataset)) == ("cps", "network ./net.py", False)
    assert not own.as_published("acdc")
    assert (stands_for(scaled, dataset), stands_for(beside, dataset)) == (bool(size), False)


def test_ranks_share_a_place_and_leave_out_what_has_no_number():
    assert ranks([("a", 1.0), ("b", 2.0), ("c", float("nan")), ("d", 2.0)]) == {"a": 3, "b": 1, "d": 1}


def test_agreement_is_kendalls(table1_study):
    pairs = of(table1_study, "la")["pairs"]
    both = [pair for pair in pairs if pair.rank and pair.printed_rank]
    tau = stats.kendalltau([p.printed_rank for p in both], [p.rank for p in both]).statistic
    assert agreement(pairs) == (pytest.approx(tau), len(both))
    assert isnan(agreement(both[:2])[0])


def test_the_table_is_written_with_numbers_and_as_shown(table1_study):
    table = next(t for t in of(table1_study, "acdc")["exports"] if t.name == "side-by-side-acdc")
    first = table.data.iloc[0]
    assert (first["method"], first["dice_printed"], first["rank_printed"]) == ("Supervised", 79.41, 10)
    assert re.fullmatch(r"\d\d\.\d\d ± \d\.\d\d", table.shown.loc[0, "Dice (%), here"])
    for pair in of(table1_study, "acdc")["pairs"]:
        if pair.line is None:
            row = table.shown.set_index("Method").loc[pair.label]
            assert (row["Dice (%), here"], row["Rank, here"]) == ("–", "–")


def test_a_method_without_a_printed_number_is_no_point(table1_study):
    plot = of(table1_study, "la")["plot"]
    assert "CPS" not in plot.description
    assert "Supervised 82.74 and " in plot.description
    assert "nan" not in plot


def test_every_method_against_supervised_and_m3hl_against_every_other(table1_study):
    found = [(c.method.dataset, c.method.method, c.baseline.method) for c in compare_all(table1_study)]
    names, ours = list(table1_study.methods), "m3hl"
    variants = [name for name in names if table1_study.methods[name].algorithm == ours]
    others = [name for name in names if name not in {"supervised", *variants}]
    for dataset in KINDS:
        pairs = [(method, other) for name, method, other in found if name == dataset]
        assert pairs[0] == (ours, "supervised")
        here = {row.method for row in table1_study.rows(dataset)}
        assert {method for method, other in pairs if other == "supervised"} == here - {"supervised"}
        assert [other for method, other in pairs if other != "supervised"] == [o for o in others if o in here]
        assert {method for method, other in pairs if other != "supervised"} == {ours}
    assert len(set(found)) == len(found)


def test_the_matrix_holds_every_test_corrected_over_all(table1_study, table1_results):
    tests = case_tests(table1_study)
    raw = []
    for test in tests:
        pair = test.comparison.method, test.comparison.baseline
        ours, theirs = (metrics(table1_results, row.dataset, row.method).mean(axis=1) for row in pair)
        raw.append(stats.wilcoxon(ours - theirs).pvalue)
    steps = np.sort(raw) * np.arange(len(raw), 0, -1)
    corrected = dict(zip(np.argsort(raw, kind="stable"), np.minimum(np.maximum.accumulate(steps), 1), strict=True))
    assert [test.holm_p for test in tests] == pytest.approx([corrected[n] for n in range(len(tests))])
    found = matrix(table1_study, tests)
    cells = [cell for _, row in found.rows for cell in row if cell]
    assert len(cells) == len(tests)
    assert sum(cell.clear for cell in cells) == sum(test.holm_p < ALPHA for test in tests)
    assert [group for group, _ in found.groups] == ["acdc, 7 labeled patients", "la, 8 labeled scans"]
    assert [column.head for column in found.columns] == ["− Supervised", "M³HL −"] * 2
    assert dict(found.rows)["M³HL"][1] is None
    assert all(cell.difference[0] == {"+": "▲", "−": "▼"}[cell.difference[2]] for cell in cells if cell.clear)


def test_few_tests_are_a_list(whole, make_config):
    study = load_study(make_config(), whole)
    assert cases.content(study)["matrix"] is None
    assert "<h3>Methods against each other" not in render(study, {cases: cases.content(study)})


def test_of_many_methods_supervised_and_m3hl_are_shown_at_first(table1_study, whole, make_config):
    shown = [choice.label for choice in choices(table1_study) if choice.shown]
    assert shown == ["Supervised", "M³HL"]
    assert len(choices(table1_study)) == len(table1_study.methods) > FEW
    assert choices(load_study(make_config(), whole)) == []


def test_dice_is_drawn_against_every_cost_that_is_known(table1_study):
    acdc, la = cost.content(table1_study)["tradeoffs"]
    assert [called for called, _ in acdc["drawings"]] == [
        "time of training", "memory of training", "GPU energy of training",
    ]  # fmt: skip
    assert (acdc["title"], la["title"]) == ("acdc, 7 labeled patients", "la, 8 labeled scans")
    assert all(method.label in acdc["drawings"][0][1] for method in table1_study.methods.values())


def test_the_answer_is_three_sentences(table1_study):
    content = answer.content(table1_study)
    gains, places, paper = content["sentences"]
    assert gains.count("95 % interval over 20 cases") == 2
    assert re.search(
        r"^On acdc, \d+ of \d+ methods are clearly above supervised training, and M³HL ranks ", places
    )
    assert "; on la, " in places
    assert "+11.1 percentage points on acdc" in paper
    assert re.search(r"Kendall's τ of \S+ on acdc \(\d+ methods\) and \S+ on la", paper)
    assert paper.endswith("neither confirms nor refutes it (see Results).")
    assert content["question"] == answer.QUESTION_OF_MANY


def test_methods_are_compared_with_the_baseline_of_their_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path)
    values = table1_values()
    own = {name: {"method": name, "network": "./net.py"} for name in ("supervised", "mean-teacher")}
    values["methods"] = {f"small-{name}": entry for name, entry in own.items()} | values["methods"]
    values["experiments"][0]["method"] += [f"small-{name}" for name in own]
    config = parse_config(values)
    write_table1(tmp_path, config, cases=6)
    study = load_study(config, tmp_path)
    found = [(c.method.method, c.baseline.method) for c in compare_all(study)]
    assert [pair for pair in found if any("small" in name for name in pair)] == [
        ("small-mean-teacher", "small-supervised")
    ]
    assert "M³HL ranks" in answer.content(study)["sentences"][1]


def test_a_rank_of_means_over_unequal_seeds_says_so(tmp_path):
    values = table1_values()
    more = {"dataset": ["acdc"], "method": ["supervised", "m3hl"], "labeled": [7], "seed": [2, 3]}
    config = parse_config(values | {"experiments": [*values["experiments"], more]})
    write_table1(tmp_path, config, cases=6)
    _, places, *_ = answer.content(load_study(config, tmp_path))["sentences"]
    acdc, la = places.split("; on la")
    assert " (means over 1 to 3 seeds)" in acdc
    assert "means over" not in la


def test_the_first_preset_stands_for_m3hl_and_without_it_another_is_told_of(tmp_path):
    config = table1_config(seeds=(1,))
    names = [run.method for run in config.runs() if run.dataset == "acdc"] + ["m3hl-paper"]
    config = table1_config(
        seeds=(1,),
        methods=table1_values()["methods"] | {"m3hl-paper": {"method": "m3hl", "preset": "paper"}},
        experiments=[{"dataset": ["acdc"], "method": names, "labeled": [7], "seed": [1]}],
    )
    write_table1(tmp_path, config, cases=6)
    assert "M³HL ranks" in answer.content(load_study(config, tmp_path))["sentences"][1]
    (ours,) = (run for run in config.runs() if run.method == "m3hl")
    (tmp_path / ours.path / "metrics.csv").unlink()
    first, *_ = answer.content(load_study(config, tmp_path))["sentences"]
    assert first.startswith("On acdc with 7 labeled patients, m3hl-paper ")


def test_a_data_set_whose_weights_the_test_split_chose_is_not_told_of_beside_two_others(tmp_path):
    values = table1_values()
    chosen = values["datasets"]["la"] | {"training": {"iterations": 600, "selection": "test"}}
    block = next(block for block in values["experiments"] if block["dataset"] == ["la"])
    config = table1_config(
        seeds=(1,),
        datasets=values["datasets"] | {"la-by-test": chosen},
        experiments=[*values["experiments"], block | {"dataset": ["la-by-test"]}],
    )
    write_table1(tmp_path, config, cases=6)
    for run in config.runs():
        if run.dataset == "la-by-test":
            record = tmp_path / run.path / "run.json"
            record.write_text(json.dumps(json.loads(record.read_text()) | {"selection": {"rule": "test"}}))
    said = " ".join(answer.content(load_study(config, tmp_path))["sentences"])
    assert "on la" in said
    assert "la-by-test" not in said


def test_options_turned_on_one_data_set_leave_the_row_of_the_other_as_published(tmp_path):
    values = table1_values()
    values["methods"]["bcp"] = {"method": "bcp", "by_dataset": {"la": {"pretraining_iterations": 9}}}
    values["methods"]["short"] = {"method": "bcp", "options": {"pretraining_iterations": 9}}
    values["experiments"][0]["method"].append("short")
    for datasets in (values["datasets"], {k: v | {"training": {}} for k, v in values["datasets"].items()}):
        study = load_study(parse_config(values | {"datasets": datasets}), tmp_path)
        rows = {name: [row.method for row, _ in paper_rows(study, name)] for name in KINDS}
        assert "bcp" in rows["acdc"]
        # A smaller study scales what is counted in iterations; one of the published size that does is no row.
        assert ("bcp" in rows["la"]) == bool(study.datasets["la"].differences)
        assert "short" not in rows["acdc"]


def test_the_answer_of_an_unfinished_table_says_so(tmp_path):
    config = table1_config(seeds=(1,))
    write_table1(tmp_path, config, cases=6)
    (tmp_path / config.runs()[-1].path / "metrics.csv").unlink()
    study = load_study(config, tmp_path)
    assert "the rest may change this" in answer.content(study)["sentences"][-1]
    assert "not yet" in render(study, gather(study))
