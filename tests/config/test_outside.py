"""Methods from outside: files and installed packages, and what is said where one is wrong."""

import sys

import pytest

from m3hl.config import methods, outside
from m3hl.config.experiment import Run, parse_config
from m3hl.errors import UserError
from m3hl.methods import build
from tests.own import write_method
from tests.small_runs import study


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def package(here, monkeypatch):
    """Return a function that installs a package whose module offers methods by name."""

    def install(*names, package="their_methods"):
        site = here / f"site-{package}"
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("")
        write_method(site / package, "step.py")
        facts = site / f"{package}-1.2.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = [f"{name} = {package}.step" for name in names]
        (facts / "entry_points.txt").write_text("\n".join(["[m3hl.methods]", *lines, ""]))
        monkeypatch.syspath_prepend(str(site))
        methods.installed.cache_clear()
        return site / package

    yield install
    methods.installed.cache_clear()
    for name in [name for name in sys.modules if name.startswith("their_methods")]:
        del sys.modules[name]


def problem(method, dimensions=2, **keys):
    """Return what is said of a run of a method."""
    with pytest.raises(UserError) as said:
        build(study(dimensions, method=method, **keys).settings(Run("d", "m", 2, 1)))
    text = str(said.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("dimensions", "rate"), [(2, 0.02), (3, 0.01)])
def test_a_file_is_a_method(here, dimensions, rate):
    write_method(here)
    settings = study(dimensions, method="./mine.py", options={"weight": 0.3}).settings(Run("d", "m", 2, 1))
    assert (settings.options.weight, settings.options.learning_rate) == (0.3, rate)
    assert type(build(settings)).__doc__ == "L = L_sup + weight · H."
    assert methods.diagnostics("./mine.py") == {"entropy": "mean entropy of the student"}
    assert methods.processes("./mine.py") == 1
    assert not list(here.rglob("__pycache__")), "Python would take an old one for a file edited in the same second"


def test_files_of_one_name_in_two_folders_do_not_meet(here):
    for name, weight in (("a", "0.5"), ("b", "0.7")):
        (here / name).mkdir()
        write_method(here / name, edit=("weight: float = 0.1", f"weight: float = {weight}"))
    assert [methods.load(f"{name}/mine.py").Options().weight for name in "ab"] == [0.5, 0.7]


def test_a_module_of_an_installed_package_is_a_method(package):
    package("doubtless")
    settings = study(2, method="doubtless").settings(Run("d", "m", 2, 1))
    assert settings.options.weight == 0.1
    assert type(build(settings)).__module__ == "their_methods.step"


def test_a_name_that_two_offer_is_refused(package):
    package("m3hl", "twice")
    package("twice", package="their_methods_too")
    assert problem("m3hl").startswith("method m3hl is offered by m3hl and their_methods; uninstall one")
    assert "their_methods_too and their_methods" in problem("twice")


def test_the_nearest_name_is_suggested(package):
    package("doubtless")
    assert problem("UAMT").startswith("unknown method 'UAMT'; there are abd, ")
    assert problem("uamt").endswith("; did you mean ua-mt?")
    assert problem("doubtles").endswith("; did you mean doubtless?")


def test_the_path_of_a_file_of_that_name_is_suggested(here):
    write_method(here)
    assert problem("mine").endswith("; a file is named by its path, ./mine.py")


def test_a_missing_file_is_named_with_the_place_where_it_is_missing(here, monkeypatch):
    said = problem("./mine.py")
    assert said.startswith(f"./mine.py: there is no such file from {here} on ")
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x/m3hl.sif")
    assert ", in the container /x/m3hl.sif; correct the path" in problem("./mine.py")


WRONG = {
    "no module": (
        "from .doubt",
        "from doubt",
        "line 8: ModuleNotFoundError: No module named 'doubt' (it lies beside",
    ),
    "no syntax": ("PRESETS = (", "PRESETS = [", "./mine.py, line 10: SyntaxError: "),
    "an error": ("PRESETS = (", "PRESETS = 1 / 0, (", "./mine.py, line 10: ZeroDivisionError: "),
    "no presets": ("PRESETS", "PRESET", "this method has no PRESETS; docs/own-method.md shows one"),
    "one preset": ('("default",)', '"default"', "PRESETS must list the names of its presets"),
    "no options": ("class Options(", "class Knobs(", "this method has no Options"),
    "others' options": ("OptimizerOptions):", "dict):", "Options must inherit from"),
    "no method": ("class Method(", "class Step(", "this method has no class Method that inherits from"),
    "no base": ("class Method(Base)", "class Method", "this method has no class Method that inherits from"),
    "a wrong preset": (
        "if dimensions == 2",
        "if dimension == 2",
        "./mine.py, line 22, in preset: NameError: name",
    ),
    "no network": ("nets.build(", "nets.make(", "./mine.py, line 30, in __init__: AttributeError: "),
}


@pytest.mark.parametrize("change", WRONG)
def test_what_is_wrong_in_a_file_is_one_line_that_names_it(here, change):
    old, new, said = WRONG[change]
    write_method(here, edit=(old, new))
    text = problem("./mine.py")
    assert text.startswith("./mine.py")
    assert said in text


@pytest.mark.parametrize(
    "returned", ["{2: {}}[dimensions]", "{} if dimensions == 2 else None", "({},)[dimensions - 2]"]
)
def test_a_method_without_a_preset_for_volumes_is_named(here, returned):
    write_method(here, edit=('{"learning_rate": 0.02 if dimensions == 2 else 0.01}', returned))
    said = problem("./mine.py", 3)
    assert said == (
        "./mine.py: preset 'default' has nothing for 3D data; let preset('default', 3) return a dict of options"
    )
    study(2, method="./mine.py").settings(Run("d", "m", 2, 1))


def test_an_unknown_preset_and_an_unknown_knob_are_named(here):
    write_method(here)
    assert "m on d: options.wieght: there is no such key" in problem("./mine.py", options={"wieght": 1})
    values = study(2, method="./mine.py").model_dump(exclude_unset=True)
    values["methods"]["m"]["preset"] = "paper"
    with pytest.raises(UserError, match=r"unknown preset 'paper' of method ./mine.py; there is default"):
        parse_config(values).settings(Run("d", "m", 2, 1))


def test_an_exception_of_ours_is_no_fault_of_the_file(here):
    write_method(here)
    methods.load("./mine.py")
    with pytest.raises(ZeroDivisionError), methods.blamed("./mine.py"):
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), methods.blamed("m3hl"):
        _ = 1 / 0
    assert outside.is_path("./mine.py")
