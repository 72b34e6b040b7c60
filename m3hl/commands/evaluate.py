"""`m3hl evaluate`: a trained run's numbers, per case and class."""

from functools import partial
from pathlib import Path

import click

from m3hl import options
from m3hl.config import networks
from m3hl.config.experiment import load_config
from m3hl.files.atomic import write_text
from m3hl.provenance.origin import Stopwatch
from m3hl.provenance.records import write_record
from m3hl.provenance.seal import Seal
from m3hl.provenance.stages import own_networks


@click.command(context_settings={"show_default": True})
@options.config
@options.dataset
@options.store
@click.option("--run", required=True, type=options.PATH, help="The run's folder, which holds best.pt.")
@click.option("--split", type=click.Choice(["val", "test"]), default="test", help="Which cases to measure.")
@click.option("--nifti", type=options.PATH, help="Also write each label map as NIfTI into this folder.")
@options.device
def command(
    config: str,
    dataset: str,
    store: Path,
    run: Path,
    split: str,
    nifti: Path | None,
    device: str | None,
    threads: int | None,
) -> None:
    """Segment a split, and write metrics.csv, predictions.h5 and evaluation.json into the run's folder.

    Files of the validation split are called val-metrics.csv and so on: the report reads those of the test split.
    Of a method that selects further networks, their means are in evaluation.json.
    Dice and Jaccard in percent; 95HD and ASD in voxels, and in mm where the spacing is known.
    """
    whole = load_config(config)
    study = whole.dataset(dataset)

    from m3hl.compute.device import choose_device, describe_device
    from m3hl.config.datasets import describe
    from m3hl.data.store import Store
    from m3hl.evaluation.evaluate import (
        choose_cases,
        evaluate,
        require_geometry,
        save_nifti,
        save_predictions,
        table,
    )
    from m3hl.evaluation.summary import means_of_run
    from m3hl.inference.protocol import Protocol
    from m3hl.inference.weights import Weights

    stopwatch, where, description = Stopwatch(), choose_device(device or study.device, threads), describe(study)
    prefix = "" if split == "test" else f"{split}-"
    record, predictions, metrics = (
        run / f"{prefix}{name}" for name in ("evaluation.json", "predictions.h5", "metrics.csv")
    )
    seal = Seal(record, whole, "evaluate", dataset, inputs=[store, run / "best.pt"])
    weights = Weights.load(run / "best.pt", own_networks(whole))
    stride = study.evaluation.stride or description.stride
    trained = weights.settings
    with Store(store) as data, networks.blamed(trained.network):
        data.require(trained.dimensions, trained.classes, trained.shrink, trained.images)
        data.require_frame(weights.frame)
        protocol = Protocol(trained.crop, stride, description.largest_component, data.shrink)
        cases = choose_cases(data, split, study.evaluation.cases)
        if nifti:
            require_geometry(cases)
        label = f"evaluate {'/'.join(run.parts[-4:])}"
        segmented = partial(evaluate, store=data, cases=cases, protocol=protocol, device=where)
        results = segmented(weights.network.to(where), label=label)
        others = {}
        for name, other in weights.others.items():
            rows = table(segmented(other.network.to(where), label=f"{label} {name}"))
            others[name] = {"selection": other.selection, **means_of_run(rows)}

    if nifti:
        save_nifti(nifti, results)
    save_predictions(predictions, results)
    write_text(metrics, table(results).to_csv(index=False))
    write_record(
        record,
        {
            "protocol": {
                "crop": protocol.crop,
                "stride": protocol.stride,
                "largest_component": protocol.largest_component,
                **({"shrink": protocol.shrink} if protocol.shrink else {}),
            },
            "split": split,
            "selection": weights.selection,
            "cases": len(cases),
            **({"others": others} if others else {}),
            "provenance": stopwatch.record(
                **describe_device(where),
                store_sha256=seal.digest(store),
                weights_sha256=seal.digest(run / "best.pt"),
            ),
            "seal": seal.record([metrics, predictions]),
        },
    )
