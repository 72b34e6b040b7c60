"""The mean of several networks."""

import torch

from m3hl import nets


def test_its_logits_are_the_mean():
    ensemble = nets.build(2, classes=3, channels=2, members=3).eval()
    image = torch.rand(2, 1, 32, 32)
    first, second, third = (member(image).logits for member in ensemble.members)
    torch.testing.assert_close(ensemble(image).logits, (first + second + third) / 3)
    assert not torch.equal(first, second)


def test_one_member_is_a_network():
    assert not isinstance(nets.build(3, classes=2, channels=2), nets.Ensemble)
