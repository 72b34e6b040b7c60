"""U-Net and V-Net: the released networks' numbers, the shapes of what they return, and where dropout acts."""

import pytest
import torch
from torch import nn

from m3hl import nets
from m3hl.methods.parts.losses import pooled

ANY_SIZES = [(2, (16, 16)), (2, (48, 80)), (3, (16, 16, 16)), (3, (16, 48, 32))]


def dropout_rates(network):
    return [m.p for m in network.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]


@torch.no_grad()
def test_unet_equals_the_released_one(reference):
    network, image = reference.network(2), reference.image(2)
    out = network(image)
    reference.check("unet_eval_logits", out.logits)
    reference.check("unet_eval_first_down", out.first_down)
    reference.check("unet_eval_bottleneck", out.bottleneck)
    reference.check("unet_eval_last_decoder", out.last_decoder)
    reference.check("unet_train_logits", network.train()(image).logits)


@torch.no_grad()
def test_vnet_equals_the_released_one(reference):
    network, image = reference.network(3), reference.image(3)
    out = network(image)
    reference.check("vnet_eval_logits", out.logits)
    reference.check("vnet_eval_bottleneck", out.bottleneck)
    reference.check("vnet_eval_pooled_bottleneck", pooled(out.bottleneck))
    last = out.last_decoder
    statistics = [last.mean().item(), last.std().item(), last.max().item()]
    assert statistics == pytest.approx(reference["vnet_eval_last_decoder_stats"], rel=1e-4)
    reference.check("vnet_train_logits", network.train()(image).logits)


@pytest.mark.parametrize(("dimensions", "classes", "count"), [(2, 4, 1_813_764), (3, 2, 9_448_866)])
def test_number_of_parameters(dimensions, classes, count):
    network = nets.build(dimensions, classes, channels=16)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(("dimensions", "size"), ANY_SIZES)
def test_any_multiple_of_16_can_be_segmented(dimensions, size):
    out = nets.build(dimensions, classes=5, channels=4).eval()(torch.zeros(3, 1, *size))
    assert out.logits.shape == (3, 5, *size)
    assert out.first_down.shape == (3, 8, *(n // 2 for n in size))
    assert out.bottleneck.shape == (3, 64, *(n // 16 for n in size))
    assert out.last_decoder.shape == out.head_input.shape == (3, 4, *size)


@torch.no_grad()
@pytest.mark.parametrize("dimensions", [2, 3])
def test_head_reads_the_head_input_and_nothing_else(dimensions):
    torch.manual_seed(0)
    network = nets.build(dimensions, classes=3, channels=4).train()
    out = network(torch.randn(2, 1, *(32,) * dimensions))
    assert torch.equal(network.decoder.head(out.head_input), out.logits)


@torch.no_grad()
@pytest.mark.parametrize("dimensions", [2, 3])
def test_encoder_and_decoder_can_be_called_apart(dimensions):
    network, image = nets.build(dimensions, classes=3, channels=2).eval(), torch.randn(2, 1, *(32,) * dimensions)
    encoded, out = network.encoder(image), network(image)
    for n, level in enumerate(encoded.levels):
        assert level.shape == (2, 2 * 2**n, *(32 // 2**n,) * dimensions)
    decoded = network.decoder(encoded.levels)
    for apart, together in (
        (decoded.logits, out.logits),
        (decoded.last, out.last_decoder),
        (decoded.head_input, out.head_input),
        (encoded.first_down, out.first_down),
        (encoded.levels[-1], out.bottleneck),
    ):
        assert torch.equal(apart, together)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_first_down_sees_no_deeper_layer(dimensions):
    torch.manual_seed(0)
    network = nets.build(dimensions, classes=2, channels=2)
    image = torch.randn(2, 1, *(32,) * dimensions)
    network(image).first_down.sum().backward()
    reached = {name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None}
    assert reached == ({"level0", "level1"} if dimensions == 2 else {"block1", "down1"})


def test_dropout_rates():
    assert dropout_rates(nets.build(2, 4, 16)) == [0.05, 0.1, 0.2, 0.3, 0.5]
    assert dropout_rates(nets.build(3, 2, 16)) == [0.5, 0.5]


@torch.no_grad()
def test_vnet_drops_whole_channels_of_the_bottleneck_and_of_the_head_input_and_none_of_the_last_map():
    torch.manual_seed(0)
    out = nets.build(3, classes=2, channels=16).train()(torch.randn(4, 1, 32, 32, 32))
    silent = (out.bottleneck == 0).flatten(2).all(2)
    assert 0.4 < silent.float().mean() < 0.6
    assert not (out.last_decoder == 0).flatten(2).all(2).any()
    silent = (out.head_input == 0).flatten(2).all(2)
    assert 0.3 < silent.float().mean() < 0.7
