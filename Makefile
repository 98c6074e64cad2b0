# For people and CI alike. The first use of any target sets up $(VENV).
VENV ?= .venv
PYTHON ?= python3
# The oldest Python that is supported, for the lowest versions of the dependencies.
LOWEST_PYTHON ?= python3.10
# The latest one, for the smallest installation.
CLASSROOM_PYTHON ?= python3.13
PHOTOS ?= $(HOME)/Pictures
export QT_QPA_PLATFORM ?= offscreen
# Threads of libraries that wait leave the processor to other tests.
export OMP_WAIT_POLICY ?= passive
# With it, each of the many processes would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: check test test-slow lint docs bench package test-lowest test-classroom

check: lint test test-slow

TEST_OPTIONS = -n auto --dist worksteal
PYTEST = $(VENV)/bin/python -m pytest $(TEST_OPTIONS)

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

# What is published. The wheel is built from the sdist; one that is built from here must
# be the same, byte by byte.
package: $(VENV)/ready
	rm -rf build dist
	SOURCE_DATE_EPOCH=315532800 $(VENV)/bin/python -m build
	SOURCE_DATE_EPOCH=315532800 $(VENV)/bin/python -m build --wheel --outdir build/here
	cmp build/here/*.whl dist/*.whl
	$(VENV)/bin/twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist
	$(VENV)/bin/check-sdist
	mkdir build/sdist build/elsewhere
	tar --extract --file dist/*.tar.gz --directory build/sdist --strip-components 1

UV = $(VENV)/bin/uv
# The tests of the sdist, started where Python does not find the package in the current
# folder: they test the wheel, in the environment that is the argument.
TEST_WHEEL = cd build/elsewhere && $(CURDIR)/$(1)/bin/pytest $(TEST_OPTIONS) \
	--rootdir ../sdist --config-file ../sdist/pyproject.toml

test-lowest: package
	$(UV) venv --clear --python $(LOWEST_PYTHON) build/lowest
	$(UV) pip install --python build/lowest --resolution lowest-direct \
	    --requirement build/sdist/pyproject.toml --extra test --extra pyqt5
	$(UV) pip install --python build/lowest --no-deps dist/*.whl
	$(call TEST_WHEEL,build/lowest) -m "not slow" ../sdist/tests

# Installed as the README says for classrooms, into less than 1 GB (953 MiB).
test-classroom: package
	$(UV) venv --clear --python $(CLASSROOM_PYTHON) build/classroom
	$(UV) pip install --python build/classroom --override classroom.txt \
	    dist/*.whl PyQt6
	du -sm build/classroom
	test $$(du -sm build/classroom | cut -f 1) -lt 953
	$(UV) pip install --python build/classroom pytest pytest-xdist
	$(call TEST_WHEEL,build/classroom) ../sdist/tests/without_torch \
	    ../sdist/tests/widgets/test_installed.py ../sdist/tests/widgets/test_tutorials.py

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --editable '.[dev]'
	touch $@
