"""The loop: what it does in which iteration, what it records, and that it knows no method by name."""

import re
from pathlib import Path

import pytest
import torch

import m3hl.training
from m3hl.compute import execution
from m3hl.config import methods
from m3hl.config.methods.optimizer import OptimizerOptions
from m3hl.errors import UserError
from m3hl.files.tensors import load_tensors
from m3hl.methods.parts.optimization import learning_rate
from m3hl.provenance.fingerprint import closure
from m3hl.training.validation import Validation

VALIDATION = ["val_student_dice", "val_teacher_dice"]
PSEUDO = ["pseudo_student_dice", "pseudo_teacher_dice"]
PLAIN_SGD = {"learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0}


def test_the_history_has_five_rows_per_validation_and_one_at_the_end(launch, run_settings, obedient, tmp_path):
    obedient(lambda i: {"loss": i, "part": 10 * i})
    settings = run_settings(options=PLAIN_SGD, iterations=23, validate_every=10)
    rows = launch(settings, tmp_path).history.rows
    assert [row["iteration"] for row in rows] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 23]
    assert [row["iteration"] for row in rows if "val_student_dice" in row] == [10, 20, 23]
    # Losses are means since the row before.
    assert [row["loss"] for row in rows] == [i - 0.5 for i in range(2, 23, 2)] + [23]
    assert [row["part"] for row in rows] == [10 * row["loss"] for row in rows]


@pytest.mark.parametrize(
    ("method", "columns"),
    [
        ("supervised", ["loss", "val_student_dice"]),
        ("m3hl", ["loss", "mix", "low", "high", *VALIDATION, *PSEUDO]),
    ],
)
def test_columns_are_the_losses_and_the_dice_of_each_network(launch, run_settings, tmp_path, method, columns):
    training = launch(run_settings(method=method, iterations=2), tmp_path)
    training.history.write(tmp_path / "history.csv")
    header, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert header.split(",") == ["iteration", "learning_rate", *columns]
    assert [len(row.split(",")) for row in rows] == 2 * [len(columns) + 2]
    assert 0 <= training.history.rows[-1]["val_student_dice"] <= 100


def test_every_iteration_has_the_batch_of_its_number(launch, run_settings, obedient, tmp_path):
    method = obedient()
    settings = run_settings(iterations=4)
    launch(settings, tmp_path)
    first = obedient()
    launch(run_settings(iterations=1), tmp_path / "short")
    assert len(method.batches) == 4
    assert torch.equal(method.batches[0].labeled_images, first.batches[0].labeled_images)
    assert len({batch.labeled_images.numpy().tobytes() for batch in method.batches}) == 4
    assert {(len(b.labeled_images), len(b.unlabeled_images)) for b in method.batches} == {(2, 2)}


def test_the_step_size_follows_the_schedule(launch, run_settings, obedient, tmp_path):
    method = obedient()
    options = PLAIN_SGD | {"learning_rate_decay_every": 2, "learning_rate_decay": 0.5}
    training = launch(run_settings(options=options, iterations=5), tmp_path)
    # The gradient is 1, so the offset goes down by the step size; after_step sees it.
    assert method.offsets == [-1, -2, -2.5, -3, -3.25]
    assert [row["learning_rate"] for row in training.history.rows] == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"learning_rate": 0.1}, {0: 0.1, 29_999: 0.1}),
        (
            {"learning_rate": 0.01, "learning_rate_decay_every": 2500},
            {0: 1e-2, 2499: 1e-2, 2500: 1e-3, 4999: 1e-3, 14_999: 1e-7},
        ),
    ],
)
def test_learning_rate(options, expected):
    actual = {iteration: learning_rate(OptimizerOptions(**options), iteration, 30_000) for iteration in expected}
    assert actual == pytest.approx(expected)


def test_sgd_has_the_momentum_and_weight_decay_of_the_options(launch, run_settings, obedient, tmp_path):
    method = obedient()
    launch(run_settings(options={"learning_rate": 0.5, "momentum": 0.5, "weight_decay": 0.1}), tmp_path)
    offset, velocity, expected = 0.0, 0.0, []
    for _ in range(6):
        velocity = 0.5 * velocity + 1 + 0.1 * offset
        offset -= 0.5 * velocity
        expected.append(offset)
    assert method.offsets == pytest.approx(expected)


def test_facts_say_who_is_labeled_and_how_large_the_network_is(launch, run_settings, obedient, tmp_path):
    obedient()
    facts = launch(run_settings(labeled=1, iterations=1), tmp_path).facts
    assert facts["labeled_groups"] == ["train0"]
    assert facts["counts"] == {
        "labeled_cases": 1,
        "labeled_samples": 3,
        "unlabeled_cases": 3,
        "unlabeled_samples": 9,
        "parameters": 1,
    }


@pytest.mark.parametrize(
    ("selection", "iteration", "dice"), [("val", 4, 30.0), ("test", 4, 30.0), ("last", 8, 20.0)]
)
def test_the_best_or_the_last_weights_are_kept(
    launch, run_settings, obedient, monkeypatch, tmp_path, selection, iteration, dice
):
    method = obedient()
    scores = iter([10.0, 30.0, 30.0, 20.0])
    monkeypatch.setattr(
        Validation,
        "load",
        lambda *_: lambda networks, _: {f"val_{name}_dice": next(scores) for name in networks},
    )
    settings = run_settings(options=PLAIN_SGD, iterations=8, selection=selection)
    kept = launch(settings, tmp_path).selection
    assert kept.summary() == {"network": "student", "rule": selection, "iteration": iteration, "dice": dice}
    assert kept.weights["offset"].item() == -iteration
    assert method.student.offset.item() == -8


@pytest.mark.parametrize(("splits", "selection"), [({"val": 0}, "val"), ({"test": 0}, "test")])
def test_selection_on_an_empty_split_is_refused(launch, run_settings, make_store, tmp_path, splits, selection):
    with pytest.raises(UserError, match=f"selection: {selection} needs a {selection} split, and it is empty; set"):
        launch(run_settings(selection=selection), tmp_path, store=make_store(**splits))


def test_without_a_validation_split_the_last_weights_are_kept(launch, run_settings, make_store, tmp_path):
    training = launch(run_settings(selection="last"), tmp_path, store=make_store(val=0))
    assert training.selection.summary() == {"network": "student", "rule": "last", "iteration": 6, "dice": None}
    assert not any(name.startswith("val") for row in training.history.rows for name in row)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_its_checkpoint(
    launch, run_settings, obedient, tmp_path, value
):
    obedient(lambda i: {"loss": float(value) if i == 3 else 1.0})
    with pytest.raises(UserError, match=f"the loss is {value} at iteration 3; lower the learning rate") as error:
        launch(run_settings(), tmp_path)
    (last,) = tmp_path.glob("*/last.pt")
    assert str(last) in str(error.value)
    assert torch.load(last, weights_only=True)["iteration"] == 2


def test_without_a_checkpoint_none_is_named(launch, run_settings, obedient, tmp_path):
    obedient(lambda i: {"loss": float("nan")})
    with pytest.raises(UserError, match=r"the loss is nan at iteration 1; .* or check the images$"):
        launch(run_settings(), tmp_path)


def test_weights_that_are_not_finite_are_never_a_checkpoint(launch, run_settings, obedient, tmp_path):
    method = obedient()

    def spoil(_):
        if method.done == 4:
            method.student.offset.data.fill_(float("inf"))

    method.after_step = spoil
    with pytest.raises(UserError, match=r"weights are not finite at iteration 4; .*last\.pt holds the last good"):
        launch(run_settings(), tmp_path)
    (last,) = tmp_path.glob("*/last.pt")
    assert load_tensors(last, "checkpoint")["iteration"] == 2


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_algorithms_are_used_where_the_configuration_says_so(
    launch, run_settings, obedient, monkeypatch, tmp_path, deterministic
):
    obedient()
    devices = []
    monkeypatch.setattr(execution, "use_deterministic_algorithms", devices.append)
    launch(run_settings(deterministic=deterministic), tmp_path)
    assert devices == [torch.device("cpu")] * deterministic


@pytest.mark.parametrize(("dimensions", "method"), [(2, "m3hl"), (2, "supervised"), (3, "m3hl")])
def test_another_seed_gives_other_weights(launch, run_settings, bits, tmp_path, dimensions, method):
    # The same seed gives the same bits of every method: tests/methods/test_held.py.
    settings = run_settings(dimensions, method=method, iterations=2)
    first, other = (
        bits(launch(settings.model_copy(update={"seed": seed}), tmp_path / str(seed))) for seed in (5, 6)
    )
    assert other["method"] != first["method"]


def test_validation_leaves_the_training_as_it_was(launch, run_settings, bits, tmp_path):
    ends = [
        bits(launch(run_settings(method="m3hl", validate_every=every), tmp_path / str(every))) for every in (1, 6)
    ]
    assert ends[0]["method"] == ends[1]["method"]


def test_a_store_that_does_not_fit_is_refused(launch, run_settings, make_store, tmp_path):
    with pytest.raises(UserError, match="has 3D images of blob, the run wants 2D and blob"):
        launch(run_settings(2), tmp_path, store=make_store(3))


def test_progress_shows_loss_and_dice(launch, run_settings, obedient, caplog, tmp_path):
    obedient(lambda i: {"loss": i})
    with caplog.at_level("INFO"):
        launch(run_settings(options=PLAIN_SGD), tmp_path)
    assert re.search(r"test  █{20} 100% 6/6  loss 6\.000  Dice \d+\.\d  took 0:0\d", caplog.messages[-1])


def test_curves_go_to_tensorboard(launch, run_settings, obedient, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    obedient(lambda i: {"loss": i})
    launch(run_settings(), tmp_path)
    events = EventAccumulator(str(next(tmp_path.glob("*/tensorboard")))).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(i, i) for i in range(1, 7)]
    assert [e.step for e in events.Scalars("val_student_dice")] == [2, 4, 6]


def test_the_loop_knows_no_method_by_name():
    sources = "\n".join(path.read_text() for path in Path(m3hl.training.__file__).parent.glob("*.py"))
    known = {"m3hl.training.loop", "m3hl.methods.method"}
    reached = closure(["m3hl.training.loop", "m3hl.inference.weights"])
    assert known <= reached
    for method in methods.names():
        name = methods.module_name(method)
        assert not re.search(rf"""["']({method}|{name})["']|methods(\.| import ){name}\b""", sources), name
        assert not {f"m3hl.methods.{name}", f"m3hl.config.methods.{name}"} & reached, name
