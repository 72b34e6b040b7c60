"""DTC and SASSNet share a network with two heads: its supervised losses, ramps and rates are the released ones."""

import numpy as np
import pytest
import torch

from m3hl import methods
from m3hl.compute.execution import Execution
from m3hl.methods.parts.losses import cross_entropy
from m3hl.methods.parts.optimization import learning_rate
from tests.methods.lineage import published
from tests.methods.replay import batch_of, norm
from tests.methods.two_heads import CLASSES, draws, fill, say

METHODS = ["dtc", "sassnet"]
IMAGES = {2: (7, (2, 1, 64, 64)), 3: (8, (2, 1, 32, 32, 32))}


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


@pytest.fixture
def numbers(released, name):
    return released(name)


@pytest.mark.parametrize("dimensions", [2, 3])
@torch.no_grad()
def test_both_heads_give_what_the_released_ones_give(numbers, name, reference, make_settings, dimensions):
    method = methods.build(make_settings(dimensions, method=name, channels=16)).eval()
    fill(method, numbers, reference, numbers["seed"])
    network = {2: "unet", 3: "vnet"}[dimensions]
    # The row of zeros for the background is in no released network.
    extra = {2: 0, 3: 17}[dimensions]
    count = sum(p.numel() for part in method.trained() for p in part.parameters())
    assert count - extra == numbers["parameters"][network]
    offset, shape = IMAGES[dimensions]
    noise = np.random.RandomState(numbers["seed"] + offset).standard_normal(shape)
    images = torch.from_numpy(noise.astype(np.float32))
    logits, (p, t) = method.student(images).logits, method.predict(images)
    torch.testing.assert_close(logits.softmax(1), p)
    z = logits[:, -CLASSES[dimensions] :]
    for kind, values in (("segmentation", z), ("distance", t)):
        row = numbers[f"{network}_eval"][kind if kind == "segmentation" else "distance_after_tanh"]
        assert norm([values]) == pytest.approx(row["l2"], rel=1e-4)
        assert values.double().sum().item() == pytest.approx(row["sum"], rel=1e-4)
        numbers.check(f"{network}_eval_{kind}", values[0, :, ::4, ::4])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_supervised_losses_and_their_gradients_are_the_released_ones(numbers, name, make_settings, dimensions):
    rows, (z, d, _) = numbers[f"losses{dimensions}d"], draws(numbers, dimensions)
    for absent in ("zero", "outside"):
        method, batch = say(make_settings(dimensions, method=name, absent=absent), numbers, z, d)
        p, t = method.predict(batch.labeled_images)
        dice, distance = method.labeled_losses(p, t, batch.labels)
        found = {"dice": dice, "distance": distance, "supervised_beta_0.3": dice + 0.3 * distance}
        if absent == "outside":
            found = {"distance_absent_outside": distance}
        for key in found.keys() & rows.keys():
            assert found[key].item() == pytest.approx(rows[key]["value"], rel=1e-5), key
            gradients = torch.autograd.grad(found[key], [z, d], retain_graph=True, allow_unused=True)
            for kind, gradient in zip(("segmentation", "distance"), gradients, strict=True):
                size = 0.0 if gradient is None else norm([gradient])
                assert size == pytest.approx(rows[key].get(f"grad_{kind}", 0.0), rel=1e-4), (key, kind)
    if "cross_entropy_logged_only" in rows:
        logits = torch.cat([torch.zeros_like(z), z], dim=1)[:2]
        entropy = cross_entropy(logits, batch.labels).item()
        assert entropy == pytest.approx(rows["cross_entropy_logged_only"], rel=1e-5)


@pytest.mark.parametrize(("dimensions", "epsilon"), [(2, 1e-10), (3, 1e-5)])
def test_a_class_that_is_absent_feels_the_epsilon_of_dice(name, make_settings, dimensions, epsilon):
    method = methods.build(make_settings(dimensions, method=name))
    labels = torch.zeros(2, *(4,) * dimensions).long()
    classes = {2: 4, 3: 2}[dimensions]
    p = torch.full((2, classes, *labels.shape[1:]), {2: 1e-6, 3: 1e-4}[dimensions])
    p[:, 0] = 1
    size = p[:, 1].double().square().sum().item()
    absent = 1 - epsilon / (size + epsilon)
    dice, _ = method.labeled_losses(p, p[:, 1:], labels)
    assert dice.item() == pytest.approx(absent * {2: 3 / 4, 3: 1}[dimensions], rel=1e-4)


def test_bf16_leaves_distances_in_single_precision(name, make_settings, make_batch):
    settings = make_settings(2, method=name)
    method, logits, heads = methods.build(settings).train(), [], []
    method.student.register_forward_hook(lambda _, args, out: logits.append(out.logits.dtype))
    method.distance_head.register_forward_hook(lambda _, args, out: heads.append((args[0].dtype, out.dtype)))
    with Execution(torch.device("cpu"), "bf16").precise():
        method.losses(make_batch(settings))
    assert torch.bfloat16 in logits
    assert set(heads) == {(torch.float32, torch.float32)}


@pytest.mark.parametrize(("kind", "length"), [("acdc", 30_000), ("la", 6000)])
def test_ramps_and_rates_are_the_released_ones(numbers, name, kind, length):
    method = methods.build(published(name, kind))
    row = numbers[f"ramp_{kind}_{length}"]
    (weight,) = (v for key, v in method.options.model_dump().items() if key in WEIGHTS)
    assert weight == row["weight"]
    for t, expected in row["at"].items():
        batch = batch_of(np.zeros((1, 1, 4, 4)), np.zeros((0, 4, 4), int), iteration=int(t), iterations=length)
        assert weight * method.ramp(batch) == pytest.approx(expected, rel=1e-12)
    if kind == "la":
        for t, rate in numbers["learning_rate_la"].items():
            assert learning_rate(method.options, int(t), length) == pytest.approx(rate, rel=1e-12)


WEIGHTS = {"consistency_weight", "adversarial_weight"}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_single_logit_stays_single(launch, run_settings, name, tmp_path, dimensions):
    training = launch(run_settings(dimensions, method=name), tmp_path)
    head = training.method.student.decoder.head
    assert (head.weight[0] == 0).all()
    assert head.bias[0] == 0
    assert (head.weight[1] != 0).all()
    state = training.updates[0].optimizer.state
    assert (state[head.weight]["momentum_buffer"][0] == 0).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_second_head_is_trained_and_no_result(make_settings, name, dimensions):
    method = methods.build(make_settings(dimensions, method=name))
    assert list(method.results()) == ["student"]
    trained = {id(p) for group in method.updates()[0].optimizer.param_groups for p in group["params"]}
    both = [*method.student.parameters(), *method.distance_head.parameters()]
    assert trained == {id(p) for p in both}
    assert not any("distance" in key for key in method.student.state_dict())
