# Everything a developer does. Each target does its own set-up on a fresh machine with Python 3.11+, git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check verify docs clean

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet 'torch~=2.13.0'
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## the main job on the simulated hospital, ends by naming the report
	$(BIN)/pesta demo --out demo

test: $(VENV)/.installed-dev  ## the tests, under 8 minutes
	PESTA_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow" -q

check: $(VENV)/.installed-dev  ## format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

verify: $(VENV)/.installed-dev  ## every promise of the benchmarks and journeys; resumable; ends in a table
	$(BIN)/python tests/benchmarks/verify.py --out verify

docs: $(VENV)/.installed  ## the documentation as a site in site/
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf demo verify site build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
