"""`m3hl train`: one method, one number of labeled cases, one seed."""

import logging
from contextlib import nullcontext
from pathlib import Path

import click

from m3hl import options
from m3hl.config.experiment import Run, load_config
from m3hl.files.atomic import make_folder
from m3hl.files.lock import alone
from m3hl.provenance.origin import Stopwatch
from m3hl.provenance.records import write_record
from m3hl.provenance.seal import Seal
from m3hl.provenance.stages import code, network_source, source_of


@click.command(context_settings={"show_default": True})
@options.config
@options.dataset
@click.option("--method", required=True, help="Name of the method in the configuration.")
@click.option("--labeled", required=True, help='Labeled patients (scans in LA), a number or "all".')
@click.option("--seed", required=True, type=click.IntRange(0, 2**32 - 1), help="Seed of every random choice.")
@options.store
@click.option("--out", required=True, type=options.PATH, help="Folder for the run's results.")
@click.option(
    "--work",
    type=options.PATH,
    help="Folder for checkpoints, which stay there, and TensorBoard's curves.  [default: OUT/work, without the "
    "checkpoints in the end]",
)
@options.device
@click.option(
    "--precision",
    type=click.Choice(["float32", "tf32", "bf16"]),
    default="float32",
    help="Of the networks' arithmetic; tf32 is for GPUs.",
)
@click.option(
    "--compile",
    "compilation",
    type=click.Choice(["off", "kernels", "graphs"]),
    default="off",
    help="Let torch.compile fuse the networks' operations (kernels), and replay them as CUDA graphs (graphs).",
)
@click.option(
    "--image-memory",
    type=click.IntRange(0),
    help="MiB that the training images may take; more than that is read from the store step by step.  "
    "[default: a third of the memory]",
)
def command(
    config: str,
    dataset: str,
    method: str,
    labeled: str,
    seed: int,
    store: Path,
    out: Path,
    work: Path | None,
    device: str | None,
    threads: int | None,
    precision: str,
    compilation: str,
    image_memory: int | None,
) -> None:
    """Train a network, and write best.pt (the selected weights), last.pt, history.csv and run.json.

    A run that was interrupted goes on from its last checkpoint. CUDA is used where there is one. Two GPUs can
    train one run of M³HL: torchrun --nproc-per-node 2 -m m3hl train ….
    """
    run = Run(dataset, method, labeled_count(labeled), seed)
    study = load_config(config)
    settings = study.settings(run)
    make_folder(out)

    from m3hl.compute.device import choose_device, describe_device
    from m3hl.compute.energy import EnergyMeter
    from m3hl.compute.execution import Execution
    from m3hl.compute.team import started_team
    from m3hl.data.store import Store
    from m3hl.training.loop import train
    from m3hl.training.results import save_weights

    # Now, as it may be edited while it trains.
    whose = source_of(settings.method) | network_source(settings.network)
    stopwatch, where = Stopwatch(), choose_device(device or study.dataset(dataset).device, threads)
    meter = EnergyMeter(where)
    execution = Execution(where, precision, compilation, None if image_memory is None else image_memory * 2**20)
    work_folder = work or out / "work"
    seal = Seal(out / "run.json", study, "train", dataset, method, inputs=[store])
    with (
        Store(store) as data,
        started_team(where) as team,
        alone(work_folder) if team.rank == 0 else nullcontext(),
    ):
        if team.rank > 0:
            logging.disable(logging.INFO)
        label = f"{dataset} · {method} · {labeled} labeled · seed {seed}"
        settings = settings.on(data.images)
        training = train(
            settings,
            data,
            label=label,
            work=work_folder,
            execution=execution,
            code=code(study, "train", dataset, method),
            team=team,
        )
        if team.rank > 0:
            return
        files = save_weights(training, out, settings, study.dataset(dataset), data)
        training.history.write(out / "history.csv")
        write_record(
            out / "run.json",
            {
                "experiment": study.name,
                **run._asdict(),
                "settings": settings.model_dump(mode="json"),
                **training.summary(),
                **({"stages": training.ended} if training.ended else {}),
                **training.facts,
                "iterations": training.iteration,
                "seconds": round(training.seconds, 2),
                "resumed_at": training.resumed_at,
                "processes": team.size,
                "provenance": stopwatch.record(
                    **describe_device(where),
                    # One process sees one GPU.
                    **(meter.record() if team.size == 1 else {}),
                    **execution.chosen(),
                    store_sha256=seal.digest(store),
                    **whose,
                ),
                "seal": seal.record([*files, out / "history.csv"]),
            },
        )
        # Elsewhere whoever called decides when the training is surely over.
        if work is None:
            training.checkpoints.discard()


def labeled_count(text: str) -> int | str:
    """Return the number of labeled groups, or "all"."""
    # Python refuses to read thousands of digits.
    if text == "all" or (text.isdecimal() and len(text) < 10 and int(text) > 0):
        return text if text == "all" else int(text)
    raise click.BadParameter(f'{text!r} is neither a positive number nor "all"', param_hint="--labeled")
