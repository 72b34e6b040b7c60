rule train:
    input:
        store=f"{DATA}.h5",
    output:
        weights=RUN / "best.pt",
        last=RUN / "last.pt",
        history=RUN / "history.csv",
        record=RUN / "run.json",
    log:
        RUN / "logs" / "train.log",
    benchmark:
        RUN / "logs" / "train.tsv"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime="24h",
    params:
        config=read_by("train"),
        code=code_of("train"),
        image=ENVIRONMENT,
        folder=lambda w, output: Path(output.record).parent,
        # Snakemake deletes outputs before a job starts: an interrupted run's checkpoints lie elsewhere.
        work=lambda w, output: RESULTS
        / "work"
        / Path(output.record).parent.relative_to(RESULTS / "runs"),
    shell:
        "m3hl --log {log:q} train --config {params.config:q} --dataset {wildcards.dataset}"
        " --method {wildcards.method} --labeled {wildcards.labeled} --seed {wildcards.seed}"
        " --store {input.store:q} --out {params.folder:q} --work {params.work:q} --threads {threads}"
