"""Means over classes, cases and seeds, by hand."""

from math import nan

import pandas as pd
import pytest

from m3hl.errors import UserError
from m3hl.evaluation.metrics import COLUMNS
from m3hl.evaluation.summary import (
    RUN,
    case_means,
    means_of_run,
    ranked_cases,
    read_metrics,
    run_means,
    seed_table,
)


def row(case, name, dice, hd95=1.0, *, mm=nan, seed=1, method="m3hl", **flags):
    """A row of metrics.csv with the columns that tell runs apart."""
    values = {"jaccard": dice / 2, "hd95": hd95, "asd": hd95 / 4, "hd95_mm": mm, "asd_mm": mm}
    return {
        "dataset": "d",
        "method": method,
        "labeled": 3,
        "seed": seed,
        "case": case,
        "group": case,
        "class": name,
        "dice": dice,
        **values,
        "missed": False,
        "spurious": False,
        "absent": False,
        **flags,
    }


def missed(case, name, **more):
    return row(case, name, 0.0, nan, **{"missed": True, **more})


def test_a_case_counts_once_however_many_classes_it_has():
    rows = pd.DataFrame(
        [row("a", "x", 90), row("a", "y", 70), row("b", "x", 40), row("b", "y", nan, nan, absent=True)]
    )
    assert case_means(rows, "published", RUN)["dice"].tolist() == [80, 40]
    table = run_means(rows, "published")
    assert table["dice"].tolist() == [60]
    assert table[["cases", "structures"]].to_numpy().tolist() == [[2, 3]]


def test_published_flatters_distances_and_failures_does_not():
    rows = pd.DataFrame([row("a", "x", 90, 4.0), missed("b", "x"), missed("c", "x", missed=False, spurious=True)])
    published, failures = (run_means(rows, c).iloc[0] for c in ("published", "failures"))
    assert published["dice"] == failures["dice"] == 30
    assert published["hd95"] == pytest.approx(4 / 3)
    assert failures["hd95"] == 4
    assert published["asd"] == pytest.approx(1 / 3)
    for table in (published, failures):
        assert (table["missed"], table["spurious"], table["structures"]) == (1, 1, 3)


def test_mm_stay_unknown_without_a_spacing():
    rows = pd.DataFrame([row("a", "x", 90, 4.0), missed("b", "x")])
    assert run_means(rows, "published")["hd95_mm"].isna().all()
    rows = pd.DataFrame([row("a", "x", 90, 4.0, mm=6.0), missed("b", "x")])
    assert run_means(rows, "published")["hd95_mm"].tolist() == [3]
    assert run_means(rows, "failures")["hd95_mm"].tolist() == [6]
    both = [row("a", "x", 90, 4.0, mm=6.0), row("a", "x", 90, 4.0, seed=2), missed("b", "x", seed=2)]
    assert run_means(pd.DataFrame(both), "published")["hd95_mm"].isna().tolist() == [False, True]


def test_deviation_over_seeds_has_one_degree_of_freedom_less():
    rows = pd.DataFrame([row("a", "x", 80, seed=1), row("a", "x", 84, seed=2), missed("a", "x", seed=3)])
    table = seed_table(rows[:2], "published").iloc[0]
    assert (table["dice_mean"], table["dice_std"], table["runs"]) == (82, pytest.approx(8**0.5), 2)
    one = seed_table(rows[:1], "published").iloc[0]
    assert one["dice_mean"] == 80
    assert pd.isna(one["dice_std"])
    assert seed_table(rows, "published").iloc[0]["missed"] == 1


def test_tables_keep_order_and_can_be_split_by_class():
    rows = pd.DataFrame(
        [
            row("a", "y", 60, method="z"),
            row("a", "x", 50, method="z"),
            row("a", "y", 40, method="b"),
        ]
    )
    assert seed_table(rows, "published")["method"].tolist() == ["z", "b"]
    classes = seed_table(rows, "published", ["dataset", "method", "labeled", "class"])
    assert classes[["method", "class", "dice_mean"]].to_numpy().tolist() == [
        ["z", "y", 60],
        ["z", "x", 50],
        ["b", "y", 40],
    ]


def test_a_run_of_absent_structures_has_no_numbers():
    rows = pd.DataFrame([row("a", "x", nan, nan, absent=True)])
    assert run_means(rows, "failures").empty


def test_a_network_of_absent_structures_has_no_means():
    rows = pd.DataFrame([row("a", "x", nan, nan, absent=True)]).drop(columns=RUN)
    assert means_of_run(rows) == {}


def test_cases_are_ranked_from_best_to_worst():
    rows = pd.DataFrame([row("a", "x", 50), row("b", "x", 90), row("c", "x", 90), missed("d", "x")])
    assert ranked_cases(rows).index.tolist() == ["b", "c", "a", "d"]


def test_metrics_survive_the_file(tmp_path):
    path = tmp_path / "metrics.csv"
    rows = pd.DataFrame([row("001", "NA", 1 / 3), missed("002", "x")])[list(COLUMNS)]
    rows.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_metrics(path), rows)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "there is no such file"),
        ("", "No columns"),
        ("case,group\n", "lacks class"),
        (",".join(COLUMNS) + "\n", "no rows"),
        (",".join(COLUMNS) + "\na,a,x,many,0,0,0,0,0,False,False,False\n", "could not convert"),
        ("case\n\x00\xff", "cannot read"),
    ],
)
def test_unreadable_metrics_are_named(tmp_path, text, problem):
    path = tmp_path / "metrics.csv"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=problem) as caught:
        read_metrics(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
