"""best.pt: what goes in comes out, the same values give the same bytes, and anything else is refused."""

import json
import logging
import pickle
from pathlib import Path

import pytest
import torch

from m3hl import nets
from m3hl.config.dataset import DatasetConfig
from m3hl.data.seen import Seen
from m3hl.errors import UserError
from m3hl.files.tensors import load_tensors, save_tensors
from m3hl.inference.network import new_network
from m3hl.inference.weights import Weights
from m3hl.provenance.fingerprint import file_digest
from m3hl.testing.small import settings
from tests.own import write_network

DATASET = DatasetConfig(kind="custom", source="folder", path="x.csv", dimensions=2, classes=("blob",))
SELECTION = {"rule": "val", "iteration": 4, "dice": 80.5}


@pytest.fixture
def weights(run_settings):
    torch.manual_seed(0)
    network = nets.build(2, 2, 2)
    network(torch.randn(2, 1, 32, 32))  # so that running statistics are not those of a new network
    return Weights.build(run_settings(method="m3hl"), DATASET, network.state_dict(), SELECTION)


@pytest.fixture
def path(weights, tmp_path):
    weights.save(tmp_path / "best.pt")
    return tmp_path / "best.pt"


def refused(path):
    """Return what is said about a file that is refused."""
    with pytest.raises(UserError) as error:
        Weights.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_goes_in_comes_out(weights, path):
    loaded = Weights.load(path)
    assert (loaded.settings, loaded.dataset, loaded.selection) == (weights.settings, DATASET, SELECTION)
    assert type(loaded.settings.options) is type(weights.settings.options)
    assert not loaded.network.training
    ours, theirs = weights.network.state_dict(), loaded.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_intensities_of_another_number_of_images_are_refused(weights, tmp_path):
    weights.seen = Seen((1.0,) * 3, (1.0,) * 3, (0.0, 1.0, 2.0) * 2)
    weights.save(tmp_path / "best.pt")
    assert "do not fit" in refused(tmp_path / "best.pt")


def test_the_same_values_give_the_same_bytes(weights, path, tmp_path):
    Weights.load(path).save(tmp_path / "elsewhere" / "again.pt")
    assert (tmp_path / "elsewhere" / "again.pt").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "this weights file is damaged or no weights file" in refused(path)


def test_a_missing_file_is_refused(tmp_path):
    for wrong in (tmp_path / "none.pt", tmp_path):
        assert "there is no such weights file; train the run first" in refused(wrong)


@pytest.mark.parametrize("content", [b"no weights\n", b"\x89HDF\r\n\x1a\n" + bytes(100), pickle.dumps([1, 2])])
def test_another_kind_of_file_is_refused(path, content):
    path.write_bytes(content)
    assert "no weights file" in refused(path)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_file_is_not_run(path, tmp_path, save):
    save({"format": "m3hl-weights", "version": 1, "network": Bomb(tmp_path / "boom")}, path)
    assert "is damaged or no weights file" in refused(path)
    assert not (tmp_path / "boom").exists()


def changed(path, **changes):
    """Replace values of the file, or of the facts in it."""
    value = load_tensors(path, "file")
    facts = json.loads(value["facts"])
    facts |= {name: changes.pop(name) for name in list(changes) if name in facts}
    save_tensors(path, value | {"facts": json.dumps(facts)} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "m3hl-checkpoint"}, "this is no weights file of this version of m3hl; use a run's best.pt"),
        ({"version": 2}, "this is no weights file of this version of m3hl"),
        ({"network": {}}, "the weights do not fit their own settings"),
        ({"network": None}, "the weights do not fit their own settings"),
        ({"settings": {}}, "the weights do not fit their own settings"),
        ({"facts": "{"}, "the weights do not fit their own settings"),
        ({"dataset": None}, "the weights do not fit their own settings"),
    ],
)
def test_a_foreign_file_is_refused(path, changes, message):
    changed(path, **changes)
    assert message in refused(path)


@pytest.mark.parametrize("settings", [{"channels": 4}, {"classes": ["a", "b"]}, {"crop": [31, 32]}])
def test_weights_that_do_not_fit_their_settings_are_refused(path, weights, settings):
    changed(path, settings=weights.settings.model_dump(mode="json") | settings)
    assert "the weights do not fit their own settings; train the run again" in refused(path)


def test_an_ensemble_comes_out_as_one(run_settings, tmp_path):
    ensemble = nets.build(2, 2, 2, members=2)
    Weights.build(run_settings(), DATASET, ensemble.state_dict(), SELECTION, 2).save(tmp_path / "best.pt")
    loaded = Weights.load(tmp_path / "best.pt").network
    image = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(loaded(image).logits, ensemble.eval()(image).logits)


def with_another(run_settings, path):
    """Write weights that hold another network beside the first, and return both."""
    first, second = (
        Weights.build(run_settings(), DATASET, nets.build(2, 2, 2).state_dict(), SELECTION | {"dice": dice})
        for dice in (70.0, 60.0)
    )
    first.others = {"second": second}
    first.save(path)
    return first, second


def test_another_network_lies_beside_the_first(run_settings, tmp_path):
    first, second = with_another(run_settings, tmp_path / "best.pt")
    loaded = Weights.load(tmp_path / "best.pt")
    assert list(loaded.others) == ["second"]
    for expected, got in ((first, loaded), (second, loaded.others["second"])):
        assert got.selection == expected.selection
        assert not got.network.training
        for name, value in expected.network.state_dict().items():
            assert torch.equal(got.network.state_dict()[name], value)


def test_another_network_that_does_not_fit_is_refused(run_settings, tmp_path):
    path = tmp_path / "best.pt"
    with_another(run_settings, path)
    wider = nets.build(2, 2, 4).state_dict()
    save_tensors(path, load_tensors(path, "weights") | {"others": {"second": wider}})
    assert "the weights do not fit their own settings" in refused(path)


@pytest.mark.parametrize("count", [0, 3, -1, 10**9, "2", None])
def test_another_number_of_members_is_refused(run_settings, tmp_path, count):
    path = tmp_path / "best.pt"
    Weights.build(run_settings(), DATASET, nets.build(2, 2, 2, members=2).state_dict(), SELECTION, 2).save(path)
    value = load_tensors(path, "weights")
    facts = json.loads(value["facts"]) | {"members": count}
    save_tensors(path, value | {"facts": json.dumps(facts)})
    assert "the weights do not fit their own settings" in refused(path)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return the file of weights of a network of a user's own, which lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path)
    chosen = settings("supervised", 2, network="./net.py")
    Weights.build(chosen, DATASET, new_network(chosen).state_dict(), SELECTION).save(tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_a_network_of_a_users_own_comes_out_where_its_code_may_be_run(own, caplog):
    loaded = Weights.load(own, ["./net.py", "./other.py"])
    assert loaded.network(torch.rand(1, 1, 32, 32)).logits.shape == (1, 2, 32, 32)
    assert not caplog.records
    loaded.save(own.with_name("again.pt"))
    assert own.with_name("again.pt").read_bytes() == own.read_bytes()


def test_no_code_is_run_that_only_the_file_names(own, monkeypatch):
    (own.parent / "net.py").write_text("raise SystemExit")
    for trusted in ((), ("./other.py", "./third.py")):
        with pytest.raises(UserError, match=r"are of a network of their own, './net.py', whose code would be run"):
            Weights.load(own, trusted)


def test_its_file_may_lie_elsewhere(own, caplog):
    elsewhere = own.parent / "elsewhere"
    elsewhere.mkdir()
    write_network(elsewhere, "another.py")
    loaded = Weights.load(own, ["elsewhere/another.py"])
    assert loaded.settings.network == "elsewhere/another.py"
    assert not caplog.records


@pytest.mark.parametrize("name", ["net.py", "layers.py"])
def test_an_edit_of_its_source_since_is_warned_of(own, caplog, name):
    with (own.parent / name).open("a") as file:
        file.write("# A comment.\n")
    file_digest.cache_clear()
    Weights.load(own, ["./net.py"])
    assert not caplog.records
    with (own.parent / name).open("a") as file:
        file.write("EDITED = 1\n")
    file_digest.cache_clear()
    with caplog.at_level(logging.WARNING):
        Weights.load(own, ["./net.py"])
    assert caplog.messages == [f"{own}: ./net.py has changed since these weights were trained with it"]


def test_another_network_than_its_own_is_refused(own):
    write_network(own.parent, "wider.py", edit=("4", "5"))
    with pytest.raises(UserError, match=r"these weights are not of the network ./wider.py as it is now"):
        Weights.load(own, ["./wider.py"])
    with pytest.raises(UserError, match=r"^./none.py: there is no such file from "):
        Weights.load(own, ["./none.py"])
