"""The HTML page: every section's content in its template, in one file that needs no network."""

from types import ModuleType
from typing import Any

import jinja2

from m3hl.reporting import text
from m3hl.reporting.choice import choices
from m3hl.reporting.palette import series_variable
from m3hl.reporting.sections import (
    ablation,
    answer,
    cases,
    cautions,
    cost,
    curves,
    examples,
    lineage,
    method,
    provenance,
    results,
    scans,
)
from m3hl.reporting.study import Study

SECTIONS = (answer, method, results, cases, ablation, curves, examples, cost, lineage, scans, provenance, cautions)
"""In the order of the page."""
FILTERS = ("number", "signed", "interval", "count", "given_labels", "duration", "memory")
"""Functions of `m3hl.reporting.text` that templates use."""


def gather(study: Study) -> dict[ModuleType, dict[str, Any]]:
    """Return what each section shows, without the sections that have nothing to show."""
    contents = {section: section.content(study) for section in SECTIONS}
    return {section: content for section, content in contents.items() if content is not None}


def render(study: Study, contents: dict[ModuleType, dict[str, Any]]) -> str:
    """Return the page about a study; the same study gives the same page.

    Args:
        study: what it is about.
        contents: of `gather`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("m3hl.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(text, name) for name in FILTERS}
    environment.filters["series"] = series_variable
    environment.globals |= {"TEST_SELECTED": text.TEST_SELECTED, "choices": choices(study)}
    sections = []
    for section, content in contents.items():
        name = section.__name__.rpartition(".")[2]
        html = environment.get_template(f"{name}.html").render(content, study=study, title=section.TITLE)
        sections.append({"id": name, "title": section.TITLE, "html": html})
    return environment.get_template("page.html").render(study=study, sections=sections)
