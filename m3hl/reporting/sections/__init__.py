"""The parts of the page: one module and one template of the same name each.

A module offers `TITLE` and `content(study)`, which returns what its template shows, or None where the study has
nothing for it. A new section is such a pair and a line in `m3hl.reporting.page`.
"""
