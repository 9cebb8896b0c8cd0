PYTHON ?= python
ALL_CORES = --numprocesses auto --maxprocesses 8
SOURCES = rooftop tests benchmarks docs $(wildcard *.py)

help:  ## this list
	@grep -E '^[a-z_]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

check: lint types imports test  ## format, lint, types, import direction, tests: the house is clean

lint:  ## ruff: format and rules
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m ruff check $(SOURCES)

format:  ## mend what ruff can mend
	$(PYTHON) -m ruff format $(SOURCES)
	$(PYTHON) -m ruff check --fix $(SOURCES)

types:  ## mypy, strict
	$(PYTHON) -m mypy

imports:  ## imports run one way
	PYTHONPATH=. lint-imports

test:  ## tests, on all cores
	$(PYTHON) -m pytest $(ALL_CORES)

slow:  ## the slow tests
	$(PYTHON) -m pytest $(ALL_CORES) -m slow

coverage:  ## every test, with the coverage floor of rooftop/
	$(PYTHON) -m pytest $(ALL_CORES) -m "slow or not slow" --cov --cov-report=term:skip-covered

docs:  ## the documentation, into site/: strict, and readable without a network
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --clean

.PHONY: help check lint format types imports test slow coverage docs
