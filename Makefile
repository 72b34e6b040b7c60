# make demo    the whole pipeline on synthetic images: results/demo/report.html
# make test    every test        make lint    style of code and workflow
# make image   the container     make lock    pin what a fresh install would get today
# make docs    the configuration's JSON schema and manual, from the typed models; what each method
#              really is; the rule graph (needs Graphviz)
# make bench   seconds per step and per volume, beside a plain implementation
.DELETE_ON_ERROR:
.PHONY: setup demo test lint format image docs bench lock

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin

setup: .venv/.ready

.venv/.ready: containers/requirements.txt containers/requirements-dev.txt pyproject.toml
	@echo "Setting up .venv from containers/requirements.txt (a minute or two, once)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --progress-bar on \
	    -r containers/requirements.txt -r containers/requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/snakemake --cores all --quiet rules
	@echo "Open results/demo/report.html"

test: setup
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

docs: setup
	$(BIN)/python -m m3hl.config.manual
	$(BIN)/python -m m3hl.reporting.lineage_docs
	mkdir -p build && $(BIN)/snakemake --rulegraph dot --quiet > build/rulegraph.dot
	dot -Grankdir=LR -Tsvg build/rulegraph.dot > workflow/rulegraph.svg

bench: setup
	$(BIN)/python -m tests.benchmarks

image:
	containers/build

# One resolution for all, of which the container needs a part: host and container must agree on every version.
FREEZE = .lock/bin/pip freeze --all --exclude pip --exclude m3hl | sed 's/+cpu$$//' | grep -vE '^(nvidia|triton|cuda)'
lock:
	$(PYTHON) -m venv --clear .lock && mkdir -p build
	.lock/bin/pip install --quiet $(TORCH) '.[workflow,kubernetes,dev]' 'setuptools>=77'
	$(FREEZE) > build/all.txt
	$(PYTHON) -m venv --clear .lock
	.lock/bin/pip install --quiet --constraint build/all.txt $(TORCH) . 'setuptools>=77'
	$(FREEZE) > containers/requirements.txt
	grep -vxFf containers/requirements.txt build/all.txt > containers/requirements-dev.txt
	rm -rf .lock build
