# Two commands do all the set-up: `make run` and `make test`.
PYTHON  ?= python3
SANDBOX ?= auto
VENV    := .venv
BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
BENCHES := rules ledger forecast status_http mirror
PROJECT ?= examples/bugfix/helios.yaml

.DEFAULT_GOAL := help
.PHONY: help run test check fast bench soak lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@tools/find-python $(PYTHON) $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "installing Helios (locked, hash-checked) ..."
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	@echo "installing the test extras (locked, hash-checked) ..."
	@$(INSTALL) --require-hashes -r requirements/test.txt
	@touch $@

run: $(VENV)/.run  ## run the example project, embedded: no server, no key, no node
	@tools/install-packages bubblewrap
	@HELIOS_HOME=$(CURDIR)/.helios HELIOS_SANDBOX=$(SANDBOX) $(BIN)/helios run $(PROJECT)

test: $(VENV)/.test  ## all tests; the last line counts passed, failed, skipped
	@tools/install-packages bubblewrap postgresql redis-server npm
	@$(BIN)/python tools/run_tests.py

check: $(VENV)/.test  ## lint, types, floors and the fast tests, under a minute
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q -m "not slow and not postgres and not sandbox" -n 2 \
		--hypothesis-profile quick tests

bench: $(VENV)/.test  ## measure the hot paths, as ratios to a baseline of the same run
	@tools/install-packages postgresql redis-server
	@for part in $(BENCHES); do echo "== $$part"; PYTHONPATH=. $(BIN)/python benchmarks/$$part.py || exit 1; done
	@echo "== gateway"; $(BIN)/python benchmarks/gateway

soak: $(VENV)/.test  ## kill it 1,000 times and search long for an overrun, ten minutes
	@tools/install-packages postgresql
	@$(BIN)/python tools/soak.py

lock: $(VENV)/.test  ## renew the hash-checked pins
	@tools/lock $(BIN)

clean:  ## remove the environment and the example's data
	rm -rf $(VENV) .helios
