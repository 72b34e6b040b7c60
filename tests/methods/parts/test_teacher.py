"""The moving average in closed form, and pseudo-labels."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from m3hl.methods.parts.teacher import pseudo_label, update_teacher


@pytest.fixture
def student():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)).train()
    network(torch.randn(4, 1, 8, 8))
    return network


@pytest.fixture
def teacher(student):
    network = copy.deepcopy(student)
    for value in (*network.parameters(), *network.buffers()):
        value.data = torch.randn_like(value.data) if value.is_floating_point() else value.data + 5
    return network


def assert_share(teacher, before, student, share, names):
    """Assert that of the teacher's values `share` stayed, and the rest came from the student."""
    for name in names:
        expected = share * before[name].double() + (1 - share) * student[name].double()
        torch.testing.assert_close(teacher[name].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("decay", "steps"), [(0.99, 1), (0.99, 50), (0.5, 3), (0.0, 1), (1.0, 4)])
@pytest.mark.parametrize("buffers", [True, False])
def test_after_k_steps_decay_to_the_k_stays(decay, steps, buffers, student, teacher):
    before, fixed = (copy.deepcopy(n.state_dict()) for n in (teacher, student))
    for _ in range(steps):
        update_teacher(teacher, student, decay, buffers=buffers)
    state = teacher.state_dict()
    parameters = [name for name, _ in teacher.named_parameters()]
    assert_share(state, before, fixed, decay**steps, parameters)
    assert_share(state, before, fixed, decay**steps if buffers else 1, ["1.running_mean", "1.running_var"])
    assert state["1.num_batches_tracked"] == before["1.num_batches_tracked"]
    assert all(torch.equal(fixed[name], value) for name, value in student.state_dict().items())


def test_a_tie_is_foreground_in_binary_maps_and_the_first_class_in_others():
    assert pseudo_label(torch.zeros(1, 2, 4, 4)).eq(1).all()
    assert pseudo_label(torch.zeros(1, 2, 4, 4, 4)).eq(1).all()
    assert pseudo_label(torch.zeros(1, 4, 4, 4)).eq(0).all()
    tie_of_2_and_3 = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 4, 1, 1).expand(1, 4, 4, 4)
    assert pseudo_label(tie_of_2_and_3).eq(2).all()


@pytest.mark.parametrize("shape", [(6, 7), (5, 6, 4)])
def test_binary_pseudo_labels_are_where_p_is_at_least_one_half(shape):
    logits = torch.randn(1, 2, *shape)
    foreground = (logits.softmax(1)[0, 1] >= 0.5).numpy()
    kept = pseudo_label(logits)[0].numpy() == 1
    assert kept.any()
    assert not (kept & ~foreground).any()


def test_pseudo_labels_are_the_arg_max_cleaned_to_the_largest_component():
    raw = torch.tensor([[[1, 1, 0, 1], [0, 0, 0, 0], [2, 0, 3, 3], [0, 2, 0, 0]]])
    logits = 5 * nn.functional.one_hot(raw, 4).movedim(-1, 1).float() - 1
    clean = [[1, 1, 0, 0], [0, 0, 0, 0], [2, 0, 3, 3], [0, 2, 0, 0]]
    got = pseudo_label(logits)
    assert got.dtype == torch.int64
    np.testing.assert_array_equal(got[0], clean)
