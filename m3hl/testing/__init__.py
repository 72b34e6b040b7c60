"""The project's own checks, for a method of yours: `from m3hl.testing.checks import check_killed`.

`checks` holds the functions; `small` the data and the runs of a second that they are made of; `skeleton` the files
that `m3hl new` writes. Nothing of the pipeline imports this.
"""
