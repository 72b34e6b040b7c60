"""The source of methods and networks from outside: an edit reruns their trainings and nobody else's."""

import pytest

from m3hl.config.experiment import parse_config
from m3hl.errors import UserError
from m3hl.files.digests import sha256_file
from m3hl.orchestration.own_code import own_code, require_sent
from m3hl.provenance import fingerprint, stages
from m3hl.provenance.verify import current
from tests.own import write_method, write_network
from tests.provenance.test_stages import STUDY

STAGES = ("download", "preprocess", "train", "evaluate", "report")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a working directory with a method of its own."""
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path)
    (tmp_path / "unused.py").write_text("")
    return tmp_path


@pytest.fixture
def study(here):
    """Return a study of the method and of one of the project's."""
    methods = {"mine": {"method": "./mine.py"}, "supervised": {"method": "supervised"}}
    experiment = STUDY["experiments"][0] | {"method": ["mine", "supervised"]}
    return parse_config(STUDY | {"methods": methods, "experiments": [experiment]})


def codes(study):
    """Return the digest of what each stage of each method runs."""
    fingerprint.file_digest.cache_clear()
    fingerprint.imports.cache_clear()
    return {
        (stage, method): stages.code(study, stage, "hearts", method)
        for method in ("mine", "supervised")
        for stage in STAGES[:-1]
    } | {("report", None): stages.code(study, "report")}


@pytest.mark.parametrize("name", ["mine.py", "doubt.py"])
def test_an_edit_reruns_its_trainings_and_the_page_and_nothing_else(study, here, name):
    before = codes(study)
    with (here / name).open("a") as file:
        file.write("\n# A comment.\n")
    (here / "unused.py").write_text("EDITED = 1\n")
    assert codes(study) == before
    with (here / name).open("a") as file:
        file.write("EDITED = 1\n")
    after = codes(study)
    assert {key for key in before if before[key] != after[key]} == {("train", "mine"), ("report", None)}


def test_what_a_file_imports_of_the_project_counts(study):
    files = fingerprint.sources(stages.modules(study, "train", "hearts", "mine"))
    assert {"./mine.py", "./doubt.py", "methods/method.py", "methods/parts/losses.py", "nets/unet.py"} <= set(
        files
    )
    assert not {"./unused.py", "methods/m3hl.py", "methods/parts/mix.py"} & set(files)


def test_records_name_the_file_and_its_digest(here):
    digest = sha256_file(here / "mine.py")
    assert stages.source_of("./mine.py") == {"method_source": {"file": "./mine.py", "sha256": digest}}
    assert stages.source_of("m3hl") == {}


def test_a_later_edit_is_noticed_by_whoever_verifies(study, here):
    digests = fingerprint.sources(stages.modules(study, "train", "hearts", "mine"))
    assert {name: current(name) for name in digests} == digests
    (here / "doubt.py").unlink()
    assert current("./doubt.py") is None
    assert current("./../../etc/passwd") is None
    assert current("m3hl:../pyproject.toml") is None
    assert current("nothing:here.py") is None


def test_the_files_that_machines_must_see_are_known(study, here, monkeypatch):
    assert own_code(study) == [here / "doubt.py", here / "mine.py"]
    monkeypatch.setenv("GIT_DIR", str(here / "none"))
    with pytest.raises(UserError, match=r"doubt\.py: the pods would not get this file, .*; git add /"):
        require_sent(own_code(study))


@pytest.fixture
def nets(here):
    """Return a study of one method with two networks, of which one is a file and one is ours."""
    write_network(here)
    methods = {"mine": {"method": "cps", "network": "./net.py"}, "supervised": {"method": "cps"}}
    experiment = STUDY["experiments"][0] | {"method": ["mine", "supervised"]}
    return parse_config(STUDY | {"methods": methods, "experiments": [experiment]})


@pytest.mark.parametrize("name", ["net.py", "layers.py"])
def test_an_edit_of_a_network_reruns_what_runs_it_and_nothing_else(nets, here, name):
    before = codes(nets)
    with (here / name).open("a") as file:
        file.write("\n# A comment.\n")
    assert codes(nets) == before
    with (here / name).open("a") as file:
        file.write("EDITED = 1\n")
    after = codes(nets)
    assert {key for key in before if before[key] != after[key]} == {("train", "mine"), ("evaluate", "mine")}


def test_another_network_is_another_training_of_its_method_alone(nets):
    values = nets.model_dump(mode="json", exclude_defaults=True)
    for name in ("mine", "supervised"):
        assert ("./net.py" in stages.excerpt(nets, "train", "hearts", name)) == (name == "mine")
    del values["methods"]["mine"]["network"]
    assert stages.code(parse_config(values), "train", "hearts", "mine") != codes(nets)["train", "mine"]


def test_of_an_installed_package_what_the_module_imports_counts(here, monkeypatch):
    site = here / "site"
    (site / "theirs").mkdir(parents=True)
    for name, text in (("__init__", ""), ("net", "from . import layers\n"), ("layers", ""), ("unused", "")):
        (site / "theirs" / f"{name}.py").write_text(text)
    facts = site / "their_nets-1.2.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: their-nets\nVersion: 1.2\n")
    (facts / "top_level.txt").write_text("theirs\n")
    monkeypatch.syspath_prepend(str(site))
    assert set(fingerprint.sources(["theirs.net"])) == {"theirs:__init__.py", "theirs:net.py", "theirs:layers.py"}
    expected = {"package": "their-nets", "version": "1.2", "module": "theirs.net:Net"}
    assert stages.network_source("theirs.net:Net") == {"network_source": expected}


def test_records_name_a_networks_file_and_its_digest(nets, here):
    expected = {"file": "./net.py:Network", "sha256": sha256_file(here / "net.py")}
    assert stages.network_source("./net.py:Network") == {"network_source": expected}
    assert stages.network_source(None) == {}
    assert stages.network_digest(None) is None


def test_the_files_of_a_network_must_be_seen_too(nets, here):
    assert own_code(nets) == [here / "layers.py", here / "net.py"]
