rule evaluate:
    input:
        store=f"{DATA}.h5",
        weights=RUN / "best.pt",
    output:
        metrics=RUN / "metrics.csv",
        predictions=RUN / "predictions.h5",
        record=RUN / "evaluation.json",
    log:
        RUN / "logs" / "evaluate.log",
    benchmark:
        RUN / "logs" / "evaluate.tsv"
    threads: 1
    resources:
        gpu=gpus_to_evaluate,
        mem_mb=8000,
        runtime="4h",
    params:
        config=read_by("evaluate"),
        code=code_of("evaluate"),
        environment=ENVIRONMENT,
        folder=lambda w, input: Path(input.weights).parent,
        device=lambda w, resources: (
            STUDY.dataset(w.dataset).device if resources.gpu else "cpu"
        ),
    shell:
        "m3hl --log {log:q} evaluate --config {params.config:q} --dataset {wildcards.dataset}"
        " --store {input.store:q} --run {params.folder:q} --threads {threads}"
        " --device {params.device}"
