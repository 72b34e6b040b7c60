"""Snakemake's plan in a user's words."""

import pytest

from m3hl.orchestration.explain import JOB, Job, differing, job, reasons

PLAN = """\
rule train:
    input: results/x/data/d.h5
    output: r/best.pt, r/run.json
    log: r/train.log
    jobid: 3
    reason: Missing output files: r/run.json, r/best.pt; Input files updated by another job: results/x/data/d.h5
    wildcards: dataset=d, method=m3hl, labeled=7, seed=1
    resources: tmpdir=/tmp
Shell command: m3hl train --config '{"name": "x"}'
"""


def test_a_job_is_read_from_a_dry_run():
    (found,) = JOB.findall(PLAN)
    assert job(*found) == Job(
        "train",
        ("r/best.pt", "r/run.json"),
        {"dataset": "d", "method": "m3hl", "labeled": "7", "seed": "1"},
        "Missing output files: r/run.json, r/best.pt; Input files updated by another job: results/x/data/d.h5",
        """m3hl train --config '{"name": "x"}'""",
    )


def test_a_reason_names_files_and_the_stage_before():
    preprocess = Job("preprocess", ("results/x/data/d.h5",), {"dataset": "d"}, "Forced execution", "")
    train = job(*JOB.findall(PLAN)[0])
    last = Job("all", (), {}, "", "")
    assert list(reasons([preprocess, train, last])) == [
        ("preprocess · d", "Forced execution"),
        ("train · d · m3hl · 7 labeled · seed 1", "not there yet: best.pt, run.json; after preprocess"),
    ]


@pytest.mark.parametrize(
    ("before", "now", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c"]),
        ({"a": {"b": 1}}, {}, ["a"]),
        ({}, {"m3hl/x.py": "0"}, ["m3hl/x.py"]),
        ({}, {"./mine.py": "0"}, ["./mine.py"]),
        ({"a": [1]}, {"a": [2]}, ["a"]),
    ],
)
def test_the_paths_of_differing_values(before, now, paths):
    assert differing(before, now) == paths
