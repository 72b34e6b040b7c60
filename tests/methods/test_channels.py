"""Every method on cases with two images: its steps run, and what it learns depends on both."""

import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.config import methods as knobs
from m3hl.data.channels import names
from m3hl.methods.parts.cutout_jitter import jittered
from m3hl.methods.parts.strong import changed_volumes, draw_volume_changes, strong
from m3hl.testing import checks, small
from m3hl.training.step import step
from tests.small_runs import SMALL

CPU = Execution(torch.device("cpu"))
PAIRS = [(name, dimensions) for name in knobs.names() for dimensions in knobs.dimensions(name)]


@pytest.mark.parametrize(("name", "dimensions"), PAIRS)
def test_every_method_learns_from_both_images(name, dimensions):
    options = SMALL.get(name, {}) | SMALL.get((name, dimensions), {})
    # With four feature channels only first layers take two.
    settings = small.settings(name, dimensions, options, channels=4).on(names(2))
    for number in range(len(methods.stages(settings))):
        torch.manual_seed(5)
        stage = methods.build(settings, number).train()
        step(stage, updates := stage.updates(), checks.batch(stage, 3, 6), CPU)
        first = [p for p in stage.parameters() if p.grad is not None and p.ndim > 2 and p.shape[1] == 2]
        assert updates
        assert first
        assert all(layer.grad[:, channel].any() for layer in first for channel in (0, 1))
        assert all(
            network(torch.rand(2, 2, *small.CROP[dimensions])).logits.ndim == dimensions + 2
            for network in stage.networks().values()
        )


def test_a_strong_view_changes_each_channel_of_a_slice_in_its_own_range():
    image = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    both = strong(torch.cat([image, 3 * image], 1), torch.Generator().manual_seed(2), blurred=0.5)
    alone = strong(image, torch.Generator().manual_seed(2), blurred=0.5)
    assert torch.equal(both[:, :1], alone)
    assert not torch.equal(alone, image)


def test_a_strong_view_changes_each_channel_of_a_volume_in_its_own_range():
    image = torch.rand(5, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    changes = draw_volume_changes(5, torch.Generator().manual_seed(2))
    both = changed_volumes(torch.cat([image, 4 * image - 1], 1), changes, torch.zeros(5, 2, 16, 16, 16))
    alone = changed_volumes(image, changes, torch.zeros(5, 1, 16, 16, 16))
    torch.testing.assert_close(both, torch.cat([alone, 4 * alone - 1], 1))
    assert not torch.equal(alone, image)


def test_contrast_is_of_each_channel_alone():
    image = (
        torch.rand(2, 2, 16, 16, generator=torch.Generator().manual_seed(1))
        * torch.tensor([1.0, 0.1])[:, None, None]
    )
    factors = torch.tensor([0.5, 1.5])
    order = torch.tensor([True, False])
    together = jittered(image, factors, factors, order)
    for channel in (0, 1):
        alone = jittered(image[:, channel : channel + 1], factors, factors, order)
        assert torch.equal(together[:, channel : channel + 1], alone)
