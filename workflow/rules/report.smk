rule report:
    input:
        expand(f"{DATA}.h5", dataset=DATASETS),
        every(
            "run.json",
            "history.csv",
            "metrics.csv",
            "predictions.h5",
            "evaluation.json",
        ),
    output:
        page=report(
            RESULTS / "report.html", caption="../report/page.rst", category="Report"
        ),
        table=report(
            RESULTS / "table1.csv", caption="../report/table1.rst", category="Tables"
        ),
        tables=report(
            directory(RESULTS / "tables"),
            patterns=["{name}.csv"],
            caption="../report/tables.rst",
            category="Tables",
            labels={"table": "{name}"},
        ),
        figures=report(
            directory(RESULTS / "figures"),
            patterns=["{name}.svg"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
        record=RESULTS / "report.json",
    log:
        RESULTS / "logs" / "report.log",
    benchmark:
        RESULTS / "benchmarks" / "report.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        config=STUDY.model_dump_json(exclude_defaults=True),
        code=code_of("report"),
        environment=ENVIRONMENT,
    shell:
        'm3hl --log {log:q} report --config {params.config:q} --results "$(dirname {output.page:q})" --out {output.page:q}'
