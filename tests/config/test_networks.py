"""Networks of a user's own: how they are named, for which methods, and what is said where one is not there."""

import pytest

from m3hl.config import methods, networks
from m3hl.errors import UserError
from m3hl.testing.small import settings
from tests.own import write_method, write_network
from tests.small_runs import SMALL

NEEDS_MORE = {"m3hl", "dtc", "sassnet", "ss-net", "mc-net"}
"""Methods that read more of a network than its logits, with their default options."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a working directory with a network."""
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path)
    return tmp_path


def problem(method="supervised", network="./net.py", **options):
    """Return what is said of a run with a network."""
    with pytest.raises(UserError) as said:
        settings(method, 2, SMALL.get(method, {}) | options, network)
    text = str(said.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("method", methods.names())
def test_methods_that_need_logits_alone_take_one_and_others_say_what_they_need(here, method):
    options = {"probe": None} if method == "ps-mt" else {}
    if method not in NEEDS_MORE:
        chosen = settings(method, 2, SMALL.get(method, {}) | options, "./net.py")
        assert chosen.network == chosen.model_dump(mode="json")["network"] == "./net.py"
    else:
        said = problem(method)
        assert said.startswith(f"m on d: method {method} reads ")
        assert ", and ./net.py has logits alone; leave network out, or take a method" in said


def test_what_a_method_needs_depends_on_its_options(here):
    assert settings("m3hl", 2, {"consistency_loss": False}, "./net.py").network
    assert "method ps-mt reads encoder and decoder (probe) of its network" in problem("ps-mt", probe=1.0)


def test_a_method_of_a_users_own_can_say_that_it_needs_more(here):
    write_method(here)
    assert settings("./mine.py", 2, network="./net.py").network == "./net.py"
    knob = "    weight: float = 0.1\n"
    write_method(here, "more.py", edit=(knob, f"{knob}\n    def beyond_logits(self):\n        return 'edges'\n"))
    assert "method ./more.py reads edges of its network" in problem("./more.py")


def test_without_one_settings_are_those_of_earlier_versions():
    chosen = settings("supervised", 2)
    assert chosen.network is None
    assert "network" not in chosen.model_dump(mode="json")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./none.py", "./none.py: there is no such file from "),
        ("./a.b.py", "./a.b.py: a dot in its name keeps this file from being imported; rename it"),
        ("net", "network net: there is no module net on "),
        ("./net", "network ./net: there is no module ./net on "),
        ("torch.nn.nothing:X", "network torch.nn.nothing:X: there is no module torch.nn.nothing on "),
        ("sys:exit", "network sys:exit: there is no module sys on "),
    ],
)
def test_one_that_is_not_there_is_named(here, name, said):
    (here / "a.b.py").write_text("")
    assert said in problem(network=name)


def test_in_a_container_it_says_so(here, monkeypatch):
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x/m3hl.sif")
    assert ", in the container /x/m3hl.sif" in problem(network="monai_of_mine.nets:Net")
    assert ", in the container /x/m3hl.sif" in problem(network="./none.py")


def test_nothing_is_run_of_what_a_configuration_names(here):
    (here / "net.py").write_text("raise SystemExit")
    assert settings("supervised", 2, network="./net.py").network


def test_another_class_is_named_after_a_colon(here):
    write_network(here, edit=("class Network", "class Other"))
    assert networks.load("./net.py:Other").__doc__ == "Logits alone."
    with pytest.raises(UserError, match=r"there is no class Network in ./net.py; name another, ./net.py:CLASS"):
        networks.load("./net.py")
