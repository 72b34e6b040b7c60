"""What a shell offers after a few letters, as click answers to the environment variable of its scripts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from m3hl.cli import STAGES

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("m3hl")


def run(*command, **environment):
    """Return what a program prints about this copy of the package; it says nothing else."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def complete(typed):
    """Return what bash's script is told after a command line, the last word of which is unfinished."""
    words = str(len(typed.split(" ")) - 1)
    answer = run(PROGRAM, COMP_WORDS=typed, COMP_CWORD=words, _M3HL_COMPLETE="bash_complete")
    return [tuple(line.split(",")) for line in answer.splitlines()]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("m3hl ", [("plain", stage) for stage in STAGES]),
        ("m3hl st", [("plain", "status")]),
        ("m3hl --l", [("plain", "--log")]),
        ("m3hl train --prec", [("plain", "--precision")]),
        ("m3hl train --precision b", [("plain", "bf16")]),
        ("m3hl train --config conf", [("file", "conf")]),
        ("m3hl status res", [("dir", "res")]),
        ("m3hl status --config conf", [("file", "conf")]),
    ],
)
def test_what_is_offered(typed, offered):
    assert complete(typed) == offered


def test_bash_completes_a_stage_with_the_script_of_the_readme():
    script = (
        'eval "$(_M3HL_COMPLETE=bash_source "$0")"; complete -p m3hl; COMP_WORDS=("$0" ver); COMP_CWORD=1; '
        '_m3hl_completion "$0"; echo "${COMPREPLY[@]}"'
    )
    known, offered = run("bash", "-c", script, str(PROGRAM)).splitlines()
    assert known.startswith("complete ")
    assert known.endswith("-F _m3hl_completion m3hl")
    assert offered == "verify"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell):
    assert "_M3HL_COMPLETE" in run(PROGRAM, _M3HL_COMPLETE=f"{shell}_source")


def test_stages_are_offered_without_importing_any():
    code = (
        "import sys; from click.shell_completion import BashComplete; from m3hl.cli import cli\n"
        "offered = BashComplete(cli, {}, 'm3hl', '_M3HL_COMPLETE').get_completions([], 'tr')\n"
        "print([item.value for item in offered], [n for n in sys.modules if n.startswith('m3hl.commands')])"
    )
    assert run(sys.executable, "-c", code) == "['train'] []\n"


def test_options_are_offered_without_the_large_libraries():
    code = (
        "import sys; from click.shell_completion import BashComplete; from m3hl.cli import STAGES, cli\n"
        "complete = BashComplete(cli, {}, 'm3hl', '_M3HL_COMPLETE').get_completions\n"
        "assert all(complete([stage], '--h') for stage in STAGES)\n"
        "print({'torch', 'pandas', 'scipy', 'h5py', 'SimpleITK'} & set(sys.modules))"
    )
    assert run(sys.executable, "-c", code) == "set()\n"
