"""A method of a user's own that does not do what a method must: one line that names it, and no traceback."""

import pytest

from m3hl.errors import UserError
from tests.own import write_method

LOSSES = 'return {"loss": supervised + self.options.weight * doubt, "entropy": doubt}'
BUILT = "nets.build(settings.dimensions, len(settings.classes) + 1, settings.channels)"
WRONG = {
    "no losses": ("def losses", "def loss", "method ./mine.py: it has no losses(batch)"),
    "nothing returned": (LOSSES, "supervised", 'losses(batch) must return a dict with "loss", not None'),
    "no loss": (LOSSES, 'return {"entropy": doubt}', "must return a dict with \"loss\", not of 'entropy'"),
    "a number": (
        LOSSES,
        'return {"loss": 1.0}',
        "'loss' must be a tensor of one number, without axes, and is a float",
    ),
    "a loss with axes": (LOSSES, 'return {"loss": logits}', "without axes, and is of shape (2, 2, 32, 32)"),
    "a curve with axes": ('"entropy": doubt', '"entropy": logits', "'entropy' must be a tensor of one number"),
    "a detached loss": (
        "supervised + self.options.weight * doubt",
        "supervised.detach()",
        "the loss depends on no parameter",
    ),
    "NaN": ("supervised + self", "float('nan') * supervised + self", "the loss is nan at iteration 1; lower"),
    "wrong shapes": ("batch.labels,", "batch.labels[..., 1:],", "./mine.py, line 34, in losses: "),
    "no student": ("self.student =", "self.net =", "it has no network; set self.student in __init__"),
    "another network": ("+ 1, settings.ch", "+ 2, settings.ch", "result 'student': parameters of another network"),
    "a forgotten part": (BUILT, f"{BUILT}; self.second = {BUILT}", "no update trains the parameter second."),
    "a part that no checkpoint holds": (
        BUILT,
        f"{BUILT}; self.parts = [self.student, {BUILT}]; self.trained = lambda: self.parts",
        "an optimizer has a parameter that no checkpoint would hold",
    ),
    "wrong labels": (
        "    def losses",
        "    def pseudo_labels(self, network, images):\n        return network(images).logits\n\n    def losses",
        "pseudo_labels must return (2, 32, 32) for these images, not (2, 2, 32, 32)",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mistake_is_one_line_that_names_the_method(launch, run_settings, tmp_path, monkeypatch, wrong):
    old, new, said = WRONG[wrong]
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path, edit=(old, new))
    settings = run_settings(method="./mine.py", iterations=2)
    with pytest.raises(UserError) as error:
        launch(settings, tmp_path / "work")
    text = str(error.value)
    assert said in text
    assert "./mine.py" in text
    assert "\n" not in text


def test_without_a_mistake_it_trains(launch, run_settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path)
    training = launch(run_settings(method="./mine.py", iterations=2), tmp_path / "work")
    assert {"loss", "entropy"} <= training.history.rows[-1].keys()
