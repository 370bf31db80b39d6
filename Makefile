# Two commands on a fresh machine: make demo, make test. Both touch only .venv; the demo makes runs/.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN    := $(VENV)/Scripts
endif
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest -q -o cache_dir=$(VENV)/pytest
unexport PYTHONDONTWRITEBYTECODE  # without byte code each of the thousands of processes of the tests compiles the program anew
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/$(VENV)/hypothesis

.DEFAULT_GOAL := help
.PHONY: help demo test unit lint types format docs bench soak clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

define environment
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "operando-nmr needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 demo")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
endef

$(VENV)/core: pyproject.toml constraints.txt
	$(environment)
	$(PIP) -e .
	@touch $@

$(VENV)/test: $(VENV)/core
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	$(environment)
	$(PIP) -e '.[test,dev]'
	@touch $(VENV)/core $(VENV)/test $@

demo: $(VENV)/core  ## cycle a simulated Li|Li cell and watch it by NMR (two minutes)
	$(BIN)/operando demo

test: $(VENV)/test  ## every test
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder

unit: $(VENV)/test  ## the quick ones
	$(PYTEST) tests/unit tests/property

lint: $(VENV)/dev  ## style, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev  ## write the style into the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/docs: $(VENV)/core
	$(PIP) -e '.[docs]'
	@touch $@

docs: $(VENV)/docs  ## build the site of the documents; a broken link fails it
	$(BIN)/python docs/site.py
	@echo docs/_build/html/README.html

bench: $(VENV)/test  ## measure, and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

soak: $(VENV)/test  ## the long ones
	$(PYTEST) -m soak --timeout 36000

clean:  ## forget the environment
	rm -rf $(VENV)
