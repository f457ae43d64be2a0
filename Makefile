# Two commands: `make demo` and `make test`. Each installs first what it needs; `make help` lists the rest.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# Written last by a finished install; while it is newer than the lock and the project file there is nothing to do.
STAMP := .venv/installed
LOCK := requirements-dev.lock

# Every Ray process imports hundreds of modules: without compiled bytecode each start takes far longer.
# uv compiles only when told to, and many build environments switch bytecode off.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Python 3.12, a virtual environment from the hashed lock, quantga itself
	@:

# An environment that no longer runs (its Python was removed, the folder was moved) is made anew.
# uv comes from the lock too: a `uv` of the machine may be a shim that fails under this folder's .python-version.
$(STAMP): $(LOCK) pyproject.toml .python-version
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null || { \
	    python=$$(.ci/find-python) && echo "install: a virtual environment with $$python" && "$$python" -m venv --clear .venv; }
	@.ci/locked uv > .venv/uv.txt
	@grep -q "$$($(BIN)/uv --version 2>/dev/null | awk '{print "==" $$2 " "}' | grep . || echo missing)" .venv/uv.txt || \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@echo "install: packages from $(LOCK)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK) || { \
	    echo "install: uv could not; once more with pip, which may know this machine's package index"; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK); }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@touch $@

.PHONY: demo
demo: warm ## The main job: evolve on a market with a planted edge and on its twin without; writes a report
	@$(BIN)/quantga demo

.PHONY: test
test: check warm ## Everything that must hold: `make check`, then the tests
	@$(BIN)/python -m pytest

.PHONY: check
check: $(STAMP) ## Format, lint, types, and the rules of the house
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_floors.py tests/test_house.py

.PHONY: format
format: $(STAMP) ## Format the code, and mend what lint can mend by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(STAMP) ## Measure: the engine
	@$(BIN)/quantga bench engine

.PHONY: warm
warm: $(STAMP) ## Compile the numerical kernels now, into the cache
	@$(BIN)/quantga warm

.PHONY: s3
s3: $(STAMP) ## A real S3 server on this machine, with a bucket and its keys (Ctrl-C ends it)
	@$(BIN)/python -m tests.store.weed

.PHONY: chaos
chaos: $(STAMP) ## Trading under faults: real processes killed, a bad network, planted mistakes (seeded, this machine only)
	@$(BIN)/python -m pytest -q -m "proof or not proof" tests/live/chaos tests/live/test_mutants.py

.PHONY: proof
proof: $(STAMP) ## The long versions of the checks (hours; resumable); writes docs/proof.md
	@$(BIN)/python tests/proof.py

.PHONY: lock
lock: $(STAMP) ## Resolve the dependencies of pyproject.toml anew, with hashes
	@$(BIN)/uv pip compile $(COMPILE) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(COMPILE) pyproject.toml --group dev -c requirements.lock -o $(LOCK)

COMPILE := --quiet --python $(BIN)/python --universal --python-version 3.12 --generate-hashes \
    --custom-compile-command 'make lock' --no-emit-index-url --no-emit-find-links

.PHONY: clean
clean: ## Remove the environment and every cache (not: lakes, runs)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .proof build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
