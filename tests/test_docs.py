"""The pages: links lead somewhere, commands and their options exist, examples of configurations are valid."""

import re
import shlex
from itertools import product
from pathlib import Path

import click
import pytest
import yaml

from m3hl.cli import STAGES, cli
from m3hl.config import methods
from m3hl.config.experiment import load_config
from m3hl.errors import UserError
from m3hl.testing.skeleton import write_skeleton

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "results").rglob("README.md")), *DOCS]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[$;&|]|-m)\s*m3hl\s+(?=[a-z-])([^;&|#()]*)")
MAKE = re.compile(r"(?:^|[$;&|]|\S=\S+)\s*make ([a-z]+)")
FILE = re.compile(r"(?<![\w/-])(?:config/[\w-]+\.yaml|workflow/profiles/\w+|containers/Dockerfile)")
DATA = {"acdc": {"kind": "acdc", "source": "public", "path": "data/ACDC"}}
"""What an example's methods are tried on where it names no data."""


def pages(paths):
    return pytest.mark.parametrize("page", paths, ids=lambda path: str(path.relative_to(ROOT)))


def prose(text):
    """Return a page without its blocks of code."""
    return BLOCK.sub("", text)


def anchors(text):
    """Return the anchors of a page's headings, as GitHub makes them."""
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(prose(text)))
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in plain}


def links(text):
    """Return a page's links to places within the project."""
    return [link for link in LINK.findall(SPAN.sub("", prose(text))) if not re.match(r"\w+:", link)]


def broken_links(page):
    """Return a page's links to files and headings that there are not."""
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


def shell_lines(text):
    """Return what a page says can be typed: in blocks of shell code, after prompts, and in the text."""
    lines = SPAN.findall(prose(text))
    for language, code in BLOCK.findall(text):
        code = code.replace("\\\n", " ")
        if language == "sh":
            lines += code.splitlines()
        elif language == "console":
            lines += [line.removeprefix("$ ") for line in code.splitlines() if line.startswith("$ ")]
    return lines


def wrong_commands(text):
    """Return commands and options of `m3hl`, targets of make and files that there are not."""
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    wrong = []
    for line in shell_lines(text):
        line = re.sub(r"(^|\s)#.*", "", line)
        wrong += [f"make {name}" for name in MAKE.findall(line) if name not in targets]
        wrong += [name for name in FILE.findall(line) if not (ROOT / name).exists()]
        for said in COMMAND.findall(line):
            name, *arguments = shlex.split(said)
            if not name.startswith("-"):
                wrong += [f"m3hl {problem}" for problem in wrong_words(name, arguments)]
    return wrong


def wrong_words(name, arguments):
    """Yield the name of a command that there is not, or the options that it does not take."""
    if name not in STAGES:
        yield name
        return
    command = cli.get_command(click.Context(cli), name)
    if command.context_settings.get("ignore_unknown_options"):
        return
    context = click.Context(command)
    known = {option for each in command.get_params(context) for option in each.opts}
    yield from (f"{name} {word}" for word in arguments if word.startswith("-") and word not in known)


def complete(values):
    """Return an example with what it leaves out: a name, data, and runs that try each of its methods."""
    values = {"name": "example", "datasets": DATA} | values
    named = values.get("methods", {"method": {"method": "supervised"}})
    everything = {"dataset": list(values["datasets"]), "method": list(named), "labeled": ["all"]}
    return {"methods": named, "experiments": [everything]} | values


def wrong_examples(text):
    """Return what is wrong with a page's examples of configurations."""
    wrong = []
    for language, code in BLOCK.findall(text):
        if language in {"yaml", "yml"}:
            try:
                assert load_config(yaml.safe_dump(complete(yaml.safe_load(code)), allow_unicode=True)).runs()
            except UserError as error:
                wrong.append(str(error))
    return wrong


@pages(PAGES)
def test_every_link_leads_somewhere(page):
    assert not broken_links(page)


@pages(PAGES)
def test_every_command_exists(page):
    assert not wrong_commands(page.read_text(encoding="utf-8"))


@pages(PAGES)
def test_every_example_is_a_valid_configuration(page, tmp_path, monkeypatch):
    # Where the pages on methods and networks of one's own have put them.
    monkeypatch.chdir(tmp_path)
    write_skeleton("my_method", tmp_path)
    (tmp_path / "my_net.py").write_text("")
    assert not wrong_examples(page.read_text(encoding="utf-8"))


@pages(DOCS)
def test_every_page_begins_with_a_command(page):
    title, _, rest = page.read_text(encoding="utf-8").partition("\n")
    assert title.startswith("# ")
    assert rest.lstrip().startswith("```sh\n"), "begin the page with a command that works"


def test_every_page_is_reached_from_the_readme():
    found, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in found:
            found.add(page)
            targets = (page.parent / link.partition("#")[0] for link in links(page.read_text(encoding="utf-8")))
            todo += [target.resolve() for target in targets if target.suffix == ".md"]
    assert set(DOCS) <= found


@pytest.mark.parametrize("name", methods.names())
def test_every_method_has_a_page(name):
    assert (ROOT / "docs" / "methods" / f"{name}.md").is_file()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("m3hl trian --seed 1", "m3hl trian"),
        ("snakemake && m3hl train --sed 1", "m3hl train --sed"),
        ("torchrun --nproc-per-node 2 -m m3hl trian", "m3hl trian"),
        ("make demos", "make demos"),
        ("TORCH=torch==2.13.0+cpu make images", "make images"),
        ("snakemake --configfile config/papers.yaml", "config/papers.yaml"),
    ],
)
def test_a_wrong_command_is_found(line, problem):
    assert wrong_commands(f"# Page\n\n```sh\n{line}    # and why\n```\n") == [problem]
    assert wrong_commands(f"# Page\n\nTry `{line}`.\n") == [problem]
    assert wrong_commands(f"# Page\n\n```console\n$ {line}\nm3hl said so\n```\n") == [problem]


def test_a_wrong_link_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# Other\n\n## What's `here`?\n\n```sh\n# no heading\n```\n")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#whats-here) [c](#page) [d](https://example.org/x.md)"
    page.write_text(f"# Page\n\n{good} [e](gone.md) ![f](gone.png) [g](other.md#no-heading) [h](#gone)\n")
    assert broken_links(page) == ["gone.md", "gone.png", "other.md#no-heading", "#gone"]


@pytest.mark.parametrize(
    "example",
    [
        "name: mine\ndatasets:\n  x: {kind: custom, source: folder, path: x.csv, dimensions: 3, class: [a]}\n",
        "methods:\n  mine: {method: m3hl, options: {mask_raito: 0.5}}\n",
        "methods:\n  mine: {method: m3hl, preset: printed}\n",
    ],
)
def test_a_wrong_example_is_found(example):
    assert len(wrong_examples(f"# Page\n\n```yaml\n{example}```\n")) == 1


def test_what_an_example_leaves_out_is_added():
    values = complete({"methods": {"mine": {"method": "m3hl"}}})
    runs = load_config(yaml.safe_dump(values)).runs()
    assert [(run.dataset, run.method) for run in runs] == list(product(DATA, ["mine"]))
