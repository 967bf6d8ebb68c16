# Everything happens in .venv; `make setup` makes it, and remakes it when the dependencies change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test lint unit soak bench tensorboard clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

setup: $(VENV)/.ready  ## make the virtual environment and install the project into it

$(VENV)/.ready: pyproject.toml .ci/constraints.txt $(wildcard models/kernels/*.cpp models/kernels/*.h)
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), sys.version' 2>/dev/null \
		|| { echo "prefrontal needs Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --editable '.[dev,mujoco,neurogym]'
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --no-deps neurogym
	@touch $@

demo: setup  ## train the two-step task through Ray (half a minute), draw the figure, print the table
	$(BIN)/prefrontal train

test: setup lint unit  ## formatting, lint, types, layers, tests

lint: setup  ## formatting, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --package prefrontal
	PYTHONPATH=.ci/types $(BIN)/lint-imports --no-logo

unit: setup  ## the tests alone, two files at a time
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

soak: setup  ## twenty minutes of training under 200 random faults (not part of the tests)
	$(BIN)/python tests/soak.py

bench: setup  ## measure this machine
	$(BIN)/prefrontal bench

tensorboard: setup  ## the curves of all runs, on http://localhost:6006
	$(BIN)/tensorboard --logdir runs

clean:  ## remove what tools left behind (not runs/, not .venv)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
