# For people and CI alike. The first use of any target sets up $(VENV).
VENV ?= .venv
PYTHON ?= python3
PHOTOS ?= $(HOME)/Pictures
export QT_QPA_PLATFORM ?= offscreen
# Threads of libraries that wait leave the processor to other tests.
export OMP_WAIT_POLICY ?= passive

.PHONY: check test test-slow lint docs bench

check: lint test test-slow

PYTEST = $(VENV)/bin/python -m pytest -n auto --dist worksteal

test: $(VENV)/ready
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/ready
	$(PYTEST) -m slow

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

docs: $(VENV)/ready
	$(VENV)/bin/sphinx-build -W doc doc/_build/html

bench: $(VENV)/ready
	$(VENV)/bin/python benchmarks/embedding.py $(PHOTOS)

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --editable '.[dev]'
	touch $@
