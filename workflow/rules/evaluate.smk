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
        work=WORK,
    shell:
        # Only now is the training surely over: SLURM says of a job that ends by itself in the seconds after its time limit
        # that it timed out, and then Snakemake deletes what it made. With its checkpoint it is made again at once.
        "m3hl --log {log:q} evaluate --config {params.config:q} --dataset {wildcards.dataset}"
        ' --store {input.store:q} --run "$(dirname {input.weights:q})" --threads {threads}'
        " $([ {resources.gpu} != 0 ] || echo --device cpu)"
        " && rm -f {params.work:q}/*/{{*.pt,.*.part,identity.json}}"
