# The index of this project: the same commands for people and for CI. `make` alone lists them.
# Needed: python3 (3.11 or newer, with venv and pip), git and make. Everything else goes into .venv, in this folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.ready-docs

# Small networks gain nothing by a second thread, and on a busy machine threads that wait for each other cost minutes.
export OMP_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 1

# Options for pytest: make test ARGS="-k calibration". Many tests start processes: each would compile torch anew (10 s) where
# the surroundings forbid Python to keep what it has compiled.
PYTEST := env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX=$(CURDIR)/build/pycache $(BIN)/python -m pytest $(ARGS)
DATA := ODDWAVE_DATA="$${ODDWAVE_DATA:-../shared/data}"

# uv is many times faster than pip but reads none of pip's settings; folders of wheels that pip knows (torch's CPU build may
# lie in one) are handed on to it. Where uv cannot be had or fails, pip does the same work. $(1) is what to install.
define install
@links="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$$($(BIN)/pip config get global.find-links 2>/dev/null)}}"; \
UV_FIND_LINKS="$$(echo $$links | tr ' ' ',')" $(BIN)/uv pip install --python $(BIN)/python -c constraints.txt $(1) \
	|| { echo "uv did not succeed: installing with pip"; $(BIN)/python -m pip install -c constraints.txt $(1); }
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint test-slow test-real test-browser test-faults test-service prior bench bench-image bench-audio bench-ablation bench-speed bench-quick figures docs clean
.DELETE_ON_ERROR:

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with oddwave and everything needed to work on it

demo: $(READY)  ## train on synthetic data, find what was planted in others, write demo/report.html and more
	$(BIN)/oddwave demo

test: $(READY)  ## run the default test suite
	$(PYTEST) -n 2 --dist worksteal

lint: $(READY)  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-slow: $(READY)  ## run the tests that take more than a few seconds each
	$(PYTEST) -n 2 --dist worksteal -m "slow and not real and not browser and not gpu and not faults and not service"

test-real: $(READY)  ## run the tests on real data sets (ODDWAVE_DATA, else ../shared/data)
	$(DATA) $(PYTEST) -n 2 -m "real and not browser and not gpu"

test-browser: $(READY)  ## open the report in a real browser (needs Chromium, installed or named by ODDWAVE_CHROMIUM)
	$(PYTEST) -m "browser" -rs

test-faults: $(READY)  ## mutate models and inputs, kill processes while they write (minutes)
	$(PYTEST) -n 2 -m faults

test-service: $(READY)  ## keep a service's history in a real PostgreSQL (needs Debian's postgresql)
	$(PYTEST) -m service -rs

prior: $(READY)  ## train the prior of series from nothing into build/ (about an hour on two cores; may be stopped and resumed)
	$(BIN)/python -m oddwave.lab.prior.train -o build/series_prior.safetensors

bench: $(READY)  ## run the series benchmark (ODDWAVE_DATA, else ../shared/data); takes hours, may be stopped and resumed
	$(DATA) $(BIN)/oddwave bench series --seeds 0,1,2 -o benchmarks/results

bench-image: $(READY)  ## run the image benchmark, likewise
	$(DATA) $(BIN)/oddwave bench image --seeds 0,1,2 -o benchmarks/results

bench-audio: $(READY)  ## run the audio benchmark, likewise
	$(DATA) $(BIN)/oddwave bench audio --seeds 0,1,2 -o benchmarks/results

bench-ablation: $(READY)  ## measure what each part of oddwave contributes, likewise
	$(DATA) $(BIN)/oddwave bench ablation --seeds 0,1,2 -o benchmarks/results

bench-speed: $(READY)  ## measure what fitting and scoring cost, likewise (leave the machine alone meanwhile)
	$(BIN)/oddwave bench speed -o benchmarks/results

bench-quick: $(READY)  ## a first look at all four benchmarks, into build/quick: one seed, small budgets, two cells at once
	$(DATA); export ODDWAVE_DATA; for what in image audio ablation series; do \
		$(BIN)/oddwave bench $$what --quick --jobs 2 -o build/quick || exit 1; done

figures: $(READY)  ## write the README's benchmark figures from benchmarks/results
	$(BIN)/python -m oddwave.lab.bench.figures README.md benchmarks/results

docs: $(DOCS_READY)  ## build docs/_build/html/index.html
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

clean:  ## remove the environment and everything built or cached
	rm -rf $(VENV) demo build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "oddwave needs Python 3.11 or newer; name one, for example: make PYTHON=python3.12 setup"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet -c constraints.txt uv || echo "uv cannot be had"
	$(call install,-e '.[dev]')
	@touch $@

$(DOCS_READY): $(READY)
	$(call install,-e '.[docs]')
	@touch $@
