# For people and CI alike. The first use of any target sets up $(VENV).
VENV ?= .venv
PYTHON ?= python3
PHOTOS ?= $(HOME)/Pictures
export QT_QPA_PLATFORM ?= offscreen

.PHONY: check test lint docs bench

check: lint test

test: $(VENV)/ready
	$(VENV)/bin/python -m pytest -n auto --dist worksteal

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
