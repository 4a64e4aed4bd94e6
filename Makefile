# Every target makes what it needs: `make test` on a fresh machine is enough.
# SEED and SEEDS are for test-soak, BENCH has options for bench. PYTHON=/path/to/python3 chooses an interpreter, PYTEST_ARGS adds arguments for pytest.

SHELL := /bin/sh
PYTHON ?=
PYTEST_ARGS ?=
SEED ?= 1
SEEDS ?= 500
BENCH ?=
BIN := .venv/bin
STAMP := .venv/.made-from-lock
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)

.DEFAULT_GOAL := help
.PHONY: help venv lock check format unit test-server test test-cli test-methods test-topology test-mariadb test-faults test-matrix test-soak demo bench mutants server recorded docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP)  ## make .venv from requirements.lock, when that or pyproject.toml has changed

$(STAMP): requirements.lock pyproject.toml tests/bootstrap.sh
	@PYTHON='$(PYTHON)' sh tests/bootstrap.sh .venv
	@touch $@

lock:  ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --extra dev \
	  --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

check: $(STAMP)  ## format, lint and types, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)  ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: $(STAMP)  ## tests without a server: seconds
	$(PYTEST) -n 2 tests/unit

test-server: $(STAMP)  ## tests on real servers: minutes (the first run downloads MySQL)
	$(PYTEST) $(filter-out %mariadb.py,$(wildcard tests/server/test_provider*.py)) tests/server/test_shared_server.py
	$(PYTEST) -n 2 --dist worksteal tests/server \
	  $(foreach suite,cli methods matrix faults topology mariadb,--ignore=tests/server/$(suite)) \
	  --ignore-glob='*/test_provider*.py' --ignore=tests/server/test_shared_server.py

test: check unit test-server  ## everything that must be green: check, unit, test-server

test-cli: $(STAMP)  ## the command line, whole commands on real servers: 10 minutes
	$(PYTEST) -n 2 --dist worksteal tests/server/cli

test-methods: $(STAMP)  ## relay, conversion and rollback in all that can happen to them: 5 minutes
	$(PYTEST) -n 2 --dist worksteal tests/server/methods

test-topology: $(STAMP)  ## replicas, groups, failover: 8 minutes
	$(PYTEST) -n 2 --dist worksteal tests/server/topology

test-mariadb: $(STAMP)  ## what is different on MariaDB: 4 minutes (the first run downloads MariaDB)
	$(PYTEST) -n 2 --dist worksteal tests/server/test_provider_mariadb.py tests/server/mariadb

test-faults: $(STAMP)  ## every fault in every phase, and the table of outcomes in docs/faults.md: 15 minutes
	$(PYTEST) -n 2 --dist worksteal -o junit_family=xunit1 --junitxml=build/faults.xml tests/server/faults
	$(BIN)/python -m tests.server.faults.table build/faults.xml

test-matrix: $(STAMP)  ## every feature by every method, and the table of outcomes in docs/matrix.md: 3 minutes
	MIGRATOR_WRITE_MATRIX=1 $(PYTEST) -o junit_family=xunit1 --junitxml=build/matrix.xml tests/server/matrix
	$(BIN)/python -m tests.server.matrix.table build/matrix.xml

test-soak: $(STAMP)  ## SEEDS=500 random tables from SEED=1 under a hostile application: 10 s each
	$(BIN)/python -m tests.oracle --seed $(SEED) --seeds $(SEEDS)

demo: $(STAMP)  ## encrypt a company's database under load and prove it: 3 minutes
	$(BIN)/python -m tests.demo

bench: $(STAMP)  ## migrator, ALTER TABLE and pt-online-schema-change side by side: an hour or two (BENCH='--scale 0.05')
	$(BIN)/python -m tests.bench $(BENCH)

mutants: $(STAMP)  ## break each invariant on purpose and see its test fail
	$(BIN)/python -m tests.mutants

server: $(STAMP)  ## start a throwaway server and print how to connect; Ctrl-C ends it
	@$(BIN)/python -m tests.servers

recorded: $(STAMP)  ## write the screens in docs/status.md anew, from a real run: half a minute
	$(BIN)/python -m tests.recorded

docs: $(STAMP)  ## write anew what is made in docs/: the reference, the codes of the limits, the answers to faults
	$(BIN)/python -m tests.pages --write

clean:  ## remove .venv and everything made here (the server cache in ~/.cache stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
