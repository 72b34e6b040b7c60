"""A network of a user's own is tried before anything else: whatever is wrong is one line that names it."""

import pytest
import torch

from m3hl.errors import UserError
from m3hl.inference.network import new_network, try_network
from m3hl.testing.checks import CHECKS, check_runs
from m3hl.testing.small import settings
from tests.own import write_method, write_network
from tests.small_runs import SMALL

CPU = torch.device("cpu")
RETURNED = "return self.second(self.dropout(self.first(images).relu()))"
WRONG = {
    "no class": ("class Network", "class Net", "network ./net.py: there is no class Network in ./net.py"),
    "no module": ("class Network(nn.Module)", "class Network", "network ./net.py: Network is no torch.nn.Module"),
    "no syntax": ("super()", "super(", "./net.py, line 12: SyntaxError: "),
    "an import": ("from .layers", "from layers", "import it with a dot, from .layers import"),
    "other arguments": (
        "in_channels",
        "channels",
        "network ./net.py: TypeError: Network.__init__() got an unexpected",
    ),
    "an error": ("self.second = ", "self.second = 1 / 0, ", "./net.py, line 14, in __init__: ZeroDivisionError"),
    "no parameters": (
        RETURNED,
        "return images.expand(-1, 2, *images.shape[2:])",
        "it has no parameters that can be trained",
    ),
    "a lazy layer": (
        "self.dropout =",
        "self.third = nn.LazyConv2d(4, 1); self.dropout =",
        "its state_dict() must hold tensors of known shapes: no lazy layers",
    ),
    "too small": (
        "return self",
        "return nn.functional.avg_pool2d(images, 2) + self",
        "must match the size of tensor",
    ),
    "halved": (
        RETURNED,
        f"{RETURNED}[..., ::2]",
        "in train() it must return logits (2, 2, 32, 32) of images (2, 1, 32, 32), and returns (2, 2, 32, 16)",
    ),
    "one class": (RETURNED, f"{RETURNED}[:, :1]", "and returns (2, 1, 32, 32)"),
    "several": (
        RETURNED,
        RETURNED.replace("return ", "return 1, "),
        "it must return one tensor of logits, and returns a tuple",
    ),
    "classes": (RETURNED, f"{RETURNED}.argmax(1)", "it must return one tensor of logits, and returns torch.int64"),
    "in eval": (
        RETURNED,
        f"{RETURNED} if self.training else None",
        "in eval() it must return one tensor of logits",
    ),
    "in place": (
        RETURNED,
        "x = self.first(images).sigmoid(); x += 1; return self.second(x)",
        "an inplace operation",
    ),
    "detached": (
        RETURNED,
        f"{RETURNED}.detach()",
        "its logits do not depend on its parameters; are they detached?",
    ),
    "no copy": (
        "self.dropout =",
        "nn.utils.weight_norm(self.first); self.dropout =",
        "RuntimeError: Only Tensors created explicitly",
    ),
    "NaN": (RETURNED, f"{RETURNED}.log()", " of 4096 logits of random images are not finite"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_one_line_that_names_it(here, wrong):
    old, new, said = WRONG[wrong]
    write_network(here, edit=(old, new))
    if wrong == "no parameters":
        write_network(here, edit=(old, new), more=("self.first =", "_ ="), most=("self.second =", "_ ="))
    with pytest.raises(UserError) as error:
        try_network(settings("supervised", 2, network="./net.py"), CPU)
    text = str(error.value)
    assert said in text
    assert "./net.py" in text
    assert "\n" not in text


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_good_one_passes_and_moves_no_random_numbers(here, dimensions):
    write_network(here)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    try_network(settings("supervised", dimensions, network="./net.py"), CPU)
    try_network(settings("supervised", dimensions), CPU)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_gets_as_many_channels_as_a_case_has_images(here, dimensions):
    write_network(here)
    chosen = settings("supervised", dimensions, network="./net.py").on(("image_1", "image_2"))
    try_network(chosen, CPU)
    assert new_network(chosen)(torch.rand(1, 2, *chosen.crop)).logits.shape == (1, 2, *chosen.crop)


def test_a_training_begins_with_the_trial(here, launch, run_settings):
    write_network(here, edit=(RETURNED, f"{RETURNED}[:, :1]"))
    chosen = settings("supervised", 2, network="./net.py")
    with pytest.raises(UserError, match=r"^network ./net.py: in train\(\) it must return logits"):
        launch(chosen, here / "work")
    assert not (here / "work").exists()


def test_what_only_a_step_brings_to_light_names_it_too(here, launch):
    again = "if len(images) > 2: raise IndexError('in a step')"
    write_network(here, edit=(RETURNED, f"{again}\n        {RETURNED}"))
    with pytest.raises(UserError, match=r"^./net.py, line 18, in forward: IndexError: in a step"):
        launch(settings("supervised", 2, network="./net.py"), here / "work")


def test_an_ensemble_is_of_as_many(here):
    write_network(here)
    chosen = settings("ad-mt", 2, SMALL["ad-mt"], "./net.py")
    image = torch.rand(1, 1, 32, 32)
    both = new_network(chosen, 2).eval()
    first, second = (member(image).logits for member in both.members)
    assert torch.equal(both(image).logits, (first + second) / 2)


def test_a_method_that_makes_other_networks_is_named(here, launch):
    write_network(here)
    write_method(here)
    with pytest.raises(UserError, match=r"method ./mine.py: result 'student': parameters of another network"):
        launch(settings("./mine.py", 2, network="./net.py"), here / "work")


@pytest.mark.parametrize("check", CHECKS[1:], ids=lambda check: check.__name__)
def test_it_is_held_to_what_ours_are(here, check):
    write_network(here)
    check("mean-teacher", 2, SMALL["mean-teacher"], "./net.py")


@pytest.mark.parametrize("method", ["cps", "cutmix", "bcp", "omf", "ad-mt", "ps-mt", "ua-mt", "abd", "m3hl"])
def test_every_method_that_needs_logits_alone_trains_it(here, method):
    write_network(here)
    more = {"ps-mt": {"probe": None}, "m3hl": {"consistency_loss": False, "forward": "joint"}}.get(method, {})
    trained = check_runs(method, 2, SMALL.get(method, {}) | more, "./net.py", iterations=4)
    for chosen in trained.selections.values():
        assert any(name.endswith("network.first.weight") for name in chosen.weights)


def test_volumes_are_trained_on_too(here):
    write_network(here)
    check_runs("supervised", 3, None, "./net.py", iterations=2)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_monais(here, dimensions):
    pytest.importorskip("monai", reason="MONAI is not installed")
    check_runs("mean-teacher", dimensions, SMALL["mean-teacher"], "monai.networks.nets:BasicUNet", iterations=2)
