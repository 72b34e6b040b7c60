rule download:
    input:
        lambda w: listed(w.dataset),
    output:
        files=f"{DATA}.json",
        record=f"{DATA}.json.provenance",
    log:
        RESULTS / "logs" / "data" / "{dataset}.download.log",
    benchmark:
        RESULTS / "benchmarks" / "data" / "{dataset}.download.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="4h",
    params:
        config=read_by("download"),
        code=code_of("download"),
        environment=ENVIRONMENT,
    shell:
        "m3hl --log {log:q} download --config {params.config:q} --dataset {wildcards.dataset}"
        " --out {output.files:q}"
