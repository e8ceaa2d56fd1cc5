# Each target sets up by itself: .venv is made from requirements.lock once, and made anew when that changes.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test test-fast lint ui bench study lock clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv from requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "gtl needs Python 3.11 or newer on the PATH"; exit 2; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[dev]"
	touch $@

demo: $(READY) ## Run the whole chain on the embedded digits: minutes, no download
	$(BIN)/gtl demo

# By file, so that what a file sets up is set up once, and in order: tests/conftest.py puts first what takes longest.
PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test: lint ## Lint, types, layers and all tests but those of a thousand simulated studies
	$(PYTEST) -m "not study"

test-fast: $(READY) ## The unit tests alone
	$(PYTEST) -m "not end_to_end and not study"

lint: $(READY) ## ruff, mypy and the layers between rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: $(READY) ## Open Dagster and MLflow together
	$(BIN)/gtl ui

bench: $(READY) ## Measure training, sampling, every strategy's step, metrics and intervals
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/strategies.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/drift.py
	$(BIN)/python benchmarks/gate.py

study: $(READY) ## Test intervals on a thousand studies, measure against the literature into docs/results.md: hours
	$(PYTEST) -m study
	$(BIN)/python -m benchmarks.study.run $(if $(DATA),--data $(DATA)) $(if $(CASES),--cases $(CASES))

lock: ## Resolve the newest allowed versions with pip and write requirements.lock
	folder=$$(mktemp -d) && trap 'rm -rf '$$folder EXIT && $(PYTHON) -m venv $$folder \
	&& $$folder/bin/pip install --quiet ".[dev]" \
	&& { echo '# Made by `make lock`; used as a constraints file, so it holds on platforms that need other packages too.'; \
	     $$folder/bin/pip freeze --exclude gtl | sed 's/+cpu$$//' | grep -vE '^(nvidia|triton|cuda)'; } > $$folder/lock \
	&& mv $$folder/lock requirements.lock

clean: ## Remove .venv and caches; data, models and runs stay
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find gtl_core pipelines tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
