"""history.csv: means between two rows, every bit of them, and empty cells where nothing was measured."""

import copy
import csv

import torch

from m3hl.training.history import History


def add(history, *values):
    for value in values:
        history.add({"loss": torch.tensor(value, dtype=torch.float64, requires_grad=True)})


def test_a_row_holds_the_means_since_the_last_one():
    history = History()
    add(history, 1.0, 2.0)
    assert history.close_row(2, 0.1, {}) == {"iteration": 2, "learning_rate": 0.1, "loss": 1.5}
    add(history, 5.0)
    assert history.close_row(3, 0.1, {"val_student_dice": 40.0})["loss"] == 5.0
    assert [row["iteration"] for row in history.rows] == [2, 3]


def test_losses_keep_no_graph():
    history = History()
    add(history, 1.0, 2.0)
    assert not history.state_dict()["sums"]["loss"].requires_grad


def test_the_file_keeps_every_bit_and_leaves_gaps_empty(tmp_path):
    history, loss = History(), 0.1 + 0.2
    add(history, loss)
    history.close_row(1, 1e-3, {})
    add(history, loss)
    history.close_row(2, 1e-3, {"val_student_dice": 100 / 3})
    history.write(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["iteration", "learning_rate", "loss", "val_student_dice"]
    assert float(rows[0]["loss"]) == loss
    assert [row["val_student_dice"] for row in rows] == ["", str(100 / 3)]


def test_a_resumed_history_goes_on_in_the_middle_of_a_row():
    first, second = History(), History()
    add(first, 1.0)
    first.close_row(1, 0.1, {})
    add(first, 2.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for history in (first, second):
        add(history, 4.0)
        history.close_row(3, 0.1, {})
    assert first.rows[-1]["loss"] == second.rows[-1]["loss"] == 3.0


def test_the_summary_shows_the_newest_loss_and_dice():
    history = History()
    assert history.summary() == ""
    add(history, 1.25)
    history.close_row(1, 0.1, {})
    assert history.summary() == "loss 1.250"
    add(history, 1.0)
    history.close_row(2, 0.1, {"val_student_dice": 61.27, "val_teacher_dice": 3.0})
    add(history, 0.5)
    history.close_row(3, 0.1, {})
    assert history.summary() == "loss 0.500  Dice 61.3"
