# PYTHON names the interpreter of a new .venv: 3.11, 3.12 or 3.13.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# Apart from the packages it installs, of which the lock alone decides.
UV = $(VENV)/uv/bin/uv
STAMP = $(VENV)/installed.stamp
NPM = $(BIN)/python .ci/npm.py --prefix sdk/typescript
NPM_STAMP = sdk/typescript/node_modules/installed.stamp

# Without bytecode each process compiles some ten thousand modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up down clean test test-all check bench

help: ## Show what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 18

up: $(STAMP) ## Start the whole stack, run the main job, print the features; safe to repeat
	@$(BIN)/feature-store stack up

down: ## Stop what `make up` started; the data stays
	@if [ -x $(BIN)/feature-store ]; then $(BIN)/feature-store stack down; else echo "Nothing runs."; fi

clean: ## Stop the stack and remove its state, data included
	@if [ -x $(BIN)/feature-store ]; then $(BIN)/feature-store stack clean; else echo "Nothing to remove."; fi

test: $(STAMP) $(NPM_STAMP) ## Run the tests
	@$(BIN)/pytest -m "not slow" --numprocesses 2 --no-loadscope-reorder

test-all: $(STAMP) $(NPM_STAMP) ## Run the tests, the slow ones too, and measure their coverage
	@$(BIN)/pytest --numprocesses 2 --no-loadscope-reorder --cov --cov-report=json:.coverage.json
	@$(BIN)/python .ci/coverage.py .coverage.json

check: $(STAMP) $(NPM_STAMP) ## Run every linter and type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python .ci/one_now.py
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yaml
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file sdk/python/pyproject.toml
	@$(BIN)/mypy monitoring/grafana
	@$(BIN)/lint-imports --no-logo >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 dbt_project/models include/feature_store/warehouse/migrations
	@$(BIN)/feature-store catalog validate
	@$(BIN)/feature-store catalog dictionary
	@$(NPM) run --silent check >$(VENV)/typescript.log 2>&1 || { cat $(VENV)/typescript.log; exit 1; }

bench: $(STAMP) ## Run the benchmarks
	@$(BIN)/python -m benchmarks

# An environment that is there already is kept; a stamp in it says that it was looked at.
$(VENV)/made.stamp:
	@if [ ! -x $(BIN)/python ]; then \
	  command -v $(PYTHON) >/dev/null 2>&1 || { \
	    echo "'$(PYTHON)' was not found: install Python 3.11, 3.12 or 3.13, or name one: make up PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "$$($(PYTHON) --version 2>&1) will not do: Python 3.11, 3.12 or 3.13 is needed. Name one: make up PYTHON=python3.12" >&2; exit 1; }; \
	  echo "Making $(VENV) with $$($(PYTHON) --version 2>&1)"; \
	  $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@touch $@

$(STAMP): $(VENV)/made.stamp requirements.txt pyproject.toml
	@echo "Installing the locked packages into $(VENV)"
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/uv uv
	@$(UV) pip sync --quiet --python $(BIN)/python requirements.txt
	@$(UV) pip install --quiet --no-deps --python $(BIN)/python --editable .
	@touch $@

$(NPM_STAMP): $(STAMP) sdk/typescript/package-lock.json
	@echo "Installing the locked packages into sdk/typescript/node_modules"
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
