"""A run of two processes, of which the first gets a signal while it validates: torchrun runs it."""

import os
import signal
import sys
from pathlib import Path

import torch

from m3hl.compute.execution import Execution
from m3hl.compute.team import started_team
from m3hl.config.experiment import Run
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.training import validation
from m3hl.training.loop import train
from tests.small_runs import study


def signalled_at(call):
    """Let this process signal itself at some call of a validation's measure."""
    original, calls = validation.mean_dice, []

    def watched(*arguments):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    validation.mean_dice = watched


if __name__ == "__main__":
    store, out, call = sys.argv[1:]
    settings = study(2, method="m3hl", options={"forward": "separate"}).settings(Run("d", "m", 2, 5))
    cpu = torch.device("cpu")
    with Store(Path(store)) as data, started_team(cpu) as team:
        if team.rank == 0:
            signalled_at(int(call))
        said = Path(out) / f"{team.rank}.txt"
        try:
            train(settings, data, label="test", work=Path(out), execution=Execution(cpu), code="code", team=team)
            said.write_text("ended")
        except UserError as error:
            said.write_text(str(error))
