# Two commands do everything on a fresh machine: `make demo` and `make test`. Each sets up .venv first.
PYTHON ?= python3
BIN := .venv/bin
TENSORFLOW ?= tensorflow-cpu
DEMO ?=

.PHONY: demo test test-slow lint help clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/ready  ## Run the whole cycle on this machine: make demo DEMO="--ui"
	$(BIN)/diffgram-flows demo $(DEMO)

test: .venv/ready  ## Run the test suite
	$(BIN)/pytest --numprocesses=auto --dist=loadfile

test-slow: .venv/ready  ## Run the long tests: hundreds of kills and objects, every benchmark
	$(BIN)/pytest -m slow

lint: .venv/ready  ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .venv with $(TENSORFLOW); this takes a few minutes the first time."
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "Python 3.11, 3.12 or 3.13 is needed"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable ".[$(TENSORFLOW),demo,dev,postgres]"
	@# RetinaNet's tests need no text: what keras-hub asks for would bring a second TensorFlow, without the -cpu.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps \
		keras-hub tokenizers
	@touch $@

clean:  ## Remove what the demo and the tools have written
	rm -rf demo-run .venv .mypy_cache .ruff_cache .pytest_cache
