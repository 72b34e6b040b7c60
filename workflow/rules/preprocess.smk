rule preprocess:
    input:
        files=f"{DATA}.json",
        # Whose absence says that the list is outdated (m3hl/orchestration/adopt.py).
        made=ancient(f"{DATA}.json.provenance"),
    output:
        store=f"{DATA}.h5",
        record=f"{DATA}.h5.provenance",
    log:
        RESULTS / "logs" / "data" / "{dataset}.preprocess.log",
    benchmark:
        RESULTS / "benchmarks" / "data" / "{dataset}.preprocess.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        config=read_by("preprocess"),
        code=code_of("preprocess"),
        environment=ENVIRONMENT,
    shell:
        "m3hl --log {log:q} preprocess --config {params.config:q} --dataset {wildcards.dataset}"
        " --files {input.files:q} --out {output.store:q}"
