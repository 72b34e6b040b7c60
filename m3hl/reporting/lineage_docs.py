"""The findings as the last part of docs/methods/README.md: `python -m m3hl.reporting.lineage_docs`."""

from collections.abc import Iterator
from pathlib import Path

from m3hl.config import methods
from m3hl.files.atomic import write_text
from m3hl.reporting.lineage import TABLE_1, in_print_order, lineage

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "README.md"
GENERATED = "<!-- From here on written by `make docs`, from m3hl/reporting/findings. -->\n"
HEAD = """
## What each method really is

Whose numbers Table 1 prints, and where print and released code differ in what matters. Not every paper could be
read: what print says is then as reviews and later papers quote it, or from memory; each method's page says which,
with its sources. `m3hl methods --json` has the same for programs, the report for the methods of a study. To cite,
cite this project ([CITATION.cff](../../CITATION.cff)) and the method's page.
"""


def main() -> None:
    """Write it into the project."""
    write_text(PAGE, written(PAGE.read_text(encoding="utf-8")))


def written(text: str) -> str:
    """Return the page: the part written by hand, and the findings in the order of Table 1."""
    parts = "\n".join("\n".join(lines(name)) for name in in_print_order(set(methods.names())))
    return text.partition(GENERATED)[0] + GENERATED + HEAD + "\n" + parts


def lines(method: str) -> Iterator[str]:
    """Yield the lines of one method."""
    module, known = methods.load(method), lineage(method)
    publication = getattr(module, "PUBLICATION", "")
    yield f"### {module.TITLE}\n"
    yield f"{known.summary} {publication + '. ' if publication else ''}[Its page]({method}.md).\n"
    for kind, title in TABLE_1.items():
        if text := getattr(known, kind):
            yield f"- **Table 1, {title}:** {text}"
    yield from (f"- {finding}" for finding in known.findings)
    if known.code:
        yield f"- Released code: {known.code}; licence: {module.CODE_LICENSE}."
    yield ""


if __name__ == "__main__":
    main()
