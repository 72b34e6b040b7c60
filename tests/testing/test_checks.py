"""The checks that users call: each notices what it is for. Ours hold them in tests/methods/test_held.py."""

import pytest

from m3hl.testing import checks, small
from tests.own import write_method

STEP = "supervised + self.options.weight * doubt"
BUILT = "nets.build(settings.dimensions, len(settings.classes) + 1, settings.channels)"
WRONG = {
    checks.check_deterministic: ((STEP, f"{STEP} * __import__('os').urandom(1)[0]"), "two runs differ"),
    checks.check_killed: (
        ("        doubt =", "        self.t = getattr(self, 't', 0) + 1\n        doubt = self.t *"),
        "killed after 2 iterations, the run ends with other bits",
    ),
    checks.check_gradients: (
        (BUILT, f"{BUILT}; self.second = {BUILT}; self.trained = lambda: [self.student, self.second]"),
        "no gradient reaches second.",
    ),
    checks.check_no_waiting: ((STEP, f"{STEP} * doubt.item()"), "_local_scalar_dense waits for the GPU"),
}


@pytest.mark.parametrize("check", WRONG, ids=lambda check: check.__name__)
def test_a_check_notices_what_it_is_for(tmp_path, monkeypatch, check):
    edit, said = WRONG[check]
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path, edit=edit)
    with pytest.raises(AssertionError, match=said):
        check("./mine.py")


def test_a_mask_as_an_index_waits_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path, edit=(STEP, f"{STEP} + 0 * logits[logits > 0].sum()"))
    with pytest.raises(AssertionError, match="indexing by a mask waits"):
        checks.check_no_waiting("./mine.py")


def test_labels_that_no_run_may_read_are_wrong_where_poisoned():
    clean, poisoned = (list(small.cases(2, poisoned=poisoned)) for poisoned in (False, True))
    differing = [a.name for a, b in zip(clean, poisoned, strict=True) if (a.label != b.label).any()]
    assert differing == ["train2", "train3"]
