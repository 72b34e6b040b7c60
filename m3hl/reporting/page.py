"""The HTML page: every section's content in its template, in one file that needs no network."""

import jinja2

from m3hl.reporting import text
from m3hl.reporting.sections import answer, cautions, curves, examples, method, provenance, results
from m3hl.reporting.study import Study

SECTIONS = (answer, method, results, curves, examples, provenance, cautions)
"""In the order of the page."""
FILTERS = {name: getattr(text, name) for name in ("number", "count", "given_labels", "duration", "memory")}


def render(study: Study) -> str:
    """Return the page about a study; the same study gives the same page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("m3hl.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    sections = []
    for section in SECTIONS:
        name = section.__name__.rpartition(".")[2]
        if (content := section.content(study)) is not None:
            html = environment.get_template(f"{name}.html").render(content, study=study, title=section.TITLE)
            sections.append({"id": name, "title": section.TITLE, "html": html})
    return environment.get_template("page.html").render(study=study, sections=sections)
