# Two commands on a machine with Python and make: `make serve` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

NODE_INSTALLED := $(patsubst %,tests/e2e/%/node_modules/.installed,typescript claude-code pyright)

.PHONY: help serve test check format lint types unit bench bench-peers coverage lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

serve: $(VENV)/.base  ## make the environment, install, and start the server
	@exec $(BIN)/dragoman serve

test:  ## everything: format, lint, types, layers, tests
	@$(MAKE) --no-print-directory -j4 check $(NODE_INSTALLED)
	@$(MAKE) --no-print-directory unit

check: format lint types  ## format, lint, types

format: $(VENV)/.dev
	$(BIN)/ruff format --check src tests bench examples

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests bench examples

types: $(VENV)/.dev
	$(BIN)/mypy

# A file's tests stay together: they share their servers. Three on two cores, as tests wait for what they have started;
# in the order of tests/conftest.py, which puts those that take long first.
unit: $(VENV)/.dev $(NODE_INSTALLED)
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The build back end first (it has no dependencies), then the pinned rest, then this package as it stands in src/.
# The lists are whole, so pip need not look for dependencies (10 s), and says in the end whether one is missing.
$(VENV)/.base: requirements/build.txt requirements/base.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements/build.txt -r requirements/base.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt
	$(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip check >&2
	@touch $@

# Real clients from npm, each with its lock: the TypeScript SDK, and Claude Code (600 MB, about ten seconds).
$(NODE_INSTALLED): %/node_modules/.installed: %/package-lock.json
	@if command -v npm >/dev/null; then cd $* && npm ci --silent --no-audit --no-fund && touch node_modules/.installed; \
	else echo "npm is not here: the tests that need $* will be skipped"; fi

bench: $(VENV)/.dev  ## measure beside nginx, write bench/RESULTS.md (needs nginx, wrk and a C compiler)
	$(BIN)/python -m bench

bench-peers: $(VENV)/.dev  ## the same with other gateways, which it installs
	$(BIN)/python -m bench --peers

coverage: $(VENV)/.dev  ## write docs/spec-coverage.md
	$(BIN)/python tests/spec/test_coverage.py

lock: $(VENV)/.dev  ## pin the newest dependencies, with hashes
	echo 'flit_core>=3.12,<5' | $(LOCK) - -o requirements/build.txt
	$(LOCK) pyproject.toml -o requirements/base.txt
	$(LOCK) -c requirements/base.txt --extra dev pyproject.toml -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt --extra postgres --extra redis --extra bedrock --extra vertex pyproject.toml -o requirements/server.txt

clean:  ## remove the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis $(dir $(NODE_INSTALLED))
