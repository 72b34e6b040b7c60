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
        gpu=gpus,
        # More at each attempt, but not twice: a node must still have it.
        mem_mb=signed(lambda w, attempt: (8000 if is_3d(w) else 4000) + 4000 * attempt),
        # How fast, not what: a profile may choose bf16, and kernels or graphs (m3hl train --help).
        precision="float32",
        compile="off",
        runtime="24h",
    params:
        config=read_by("train"),
        code=code_of("train"),
        environment=ENVIRONMENT,
        launch=signed(lambda w, resources: launcher(w, resources.gpu)),
        # Snakemake deletes outputs before a job starts: an interrupted run's checkpoints lie elsewhere.
        work=WORK,
    shell:
        # exec: a signal to the shell is one to the training, which saves itself.
        "exec {params.launch} --log {log:q} train --config {params.config:q} --dataset {wildcards.dataset}"
        " --method {wildcards.method} --labeled {wildcards.labeled} --seed {wildcards.seed}"
        ' --store {input.store:q} --out "$(dirname {output.weights:q})" --work {params.work:q} --threads {threads}'
        " --precision {resources.precision} --compile {resources.compile} --image-memory $(({resources.mem_mb} / 3))"
