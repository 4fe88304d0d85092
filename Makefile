# `make demo` and `make test` each work as the first command on a fresh clone:
# all they need is make and a Python >= 3.11 with its venv module.

PYTHON ?= python3
UV ?= uv

VENV := .venv
LOWEST := .venv-lowest
# Recipes call the environment's Python by a relative path, so the folder may have any name.
RUN := $(VENV)/bin/python
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
EXAMPLE := examples/three_layer.toml
FIGURE := demo.png
SOURCES := dyntheory tests $(wildcard benchmarks notebooks validation)

PIP := $(RUN) -m pip --disable-pip-version-check --no-input
PIP_INSTALL := $(PIP) install --quiet --no-warn-script-location

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-full lower-bounds lint format types check-lock lock clean env

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: $(READY) ## predict and simulate a three-layer network, draw both on one figure
	$(VENV)/bin/dyntheory compare $(EXAMPLE) --plot $(FIGURE) --force
	@echo "The figure is in $(FIGURE)."

# Compiling is most of the time of the tests: the default run skips LLVM's optimisations and, where XLA still can, emits
# loops the plain way; the full run does neither.
test: $(READY) ## run the default tests
	XLA_FLAGS="$$XLA_FLAGS $$($(RUN) -m tests.fast_compiling)" $(RUN) -m pytest -n 2 --dist loadfile

test-full: $(READY) ## run every test, the whole grid included
	$(RUN) -m pytest -n 2 --dist loadfile -m ""

# Every dependency has a test here that uses it. Old packages use what newer ones beneath them deprecate: that is not ours.
SMOKE := tests/dynamics/test_state_evolution.py tests/gaussian/test_sobol.py tests/ground/storage/test_netcdf.py \
  tests/ground/test_progress.py tests/kernels/test_empirical.py tests/kernels/test_stream.py \
  tests/kernels/test_training_on_loss.py tests/laws_of_the_house/test_fast_compiling.py tests/plot/test_trajectories.py \
  tests/problem/methods/test_flax_dictionary.py tests/problem/methods/test_row_wise.py tests/shell/test_main.py \
  tests/shell/explorer/test_browser.py tests/shell/tables/test_data_table.py tests/verbs/estimation/test_estimators.py \
  tests/verbs/prediction/test_store.py tests/verbs/studies/test_dask.py
lower-bounds: $(LOWEST)/.ready ## run a smoke suite on the lowest versions that pyproject.toml allows
	XLA_FLAGS="$$XLA_FLAGS $$($(LOWEST)/bin/python -m tests.fast_compiling)" $(LOWEST)/bin/python -m pytest -n 2 \
	  --dist loadfile -W error -W ignore::DeprecationWarning $(SMOKE)

# The bounds are those of the oldest Python: newer ones have no wheels of such old packages. Needs uv.
$(LOWEST)/.ready: pyproject.toml
	@command -v $(UV) >/dev/null || { echo "make lower-bounds needs uv (pip install uv), or UV=/path/to/uv"; exit 1; }
	@rm -rf $(LOWEST)
	@$(UV) venv --quiet --python 3.11 $(LOWEST)
	@$(UV) pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
	  --editable '.[data,dev,explore,flows,kernels,notebooks]'
	@touch $@

lint: $(READY) ## check style and formatting
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(READY) ## repair what the linter can repair, then format
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: $(READY) ## check the types of package and tests
	$(RUN) -m basedpyright --pythonpath $(RUN)

check-lock: $(READY) ## check, offline, that requirements.lock satisfies pyproject.toml
	@! grep -nE '[a-z]+://' requirements.lock || { echo "requirements.lock must not name an index"; exit 1; }
	PIP_FIND_LINKS= $(PIP) install --quiet --dry-run --no-index --no-build-isolation -e '.[data,dev,explore,flows,kernels,notebooks]'

env: $(READY) ## make or refresh the environment in .venv

# Two stamps, each written last, so that an interrupted step is redone in full:
# a new lock remakes the environment, a new pyproject.toml only reinstalls the package.
$(LOCKED): requirements.lock
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no '$(PYTHON)'. Name a Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "dyntheory needs Python 3.11 or newer, but '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)."; \
	  echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { \
	  echo "'$(PYTHON)' cannot make virtual environments: install its venv module (on Debian: python3-venv)."; exit 1; }
	@echo "Installing the locked packages into $(VENV); this takes a minute or two ..."
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(READY): $(LOCKED) pyproject.toml dyntheory/ground/version.py
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# The lock covers every platform and every supported Python, and names no index, so that it
# installs the same files from any mirror. Needs uv.
lock: ## write requirements.lock anew from pyproject.toml
	@command -v $(UV) >/dev/null || { echo "make lock needs uv (pip install uv), or UV=/path/to/uv"; exit 1; }
	@printf '%s\n' \
	  '# Every package, pinned with its hashes, for all platforms and Python >= 3.11:' \
	  '# runtime, the extras data, dev, explore, flows, kernels and notebooks, and the build backend.' \
	  '# Written by `make lock`; do not edit by hand.' > requirements.lock.new
	@printf '%s\n' hatchling editables | $(UV) pip compile pyproject.toml - --upgrade --universal \
	  --python-version 3.11 --extra data --extra dev --extra explore --extra flows --extra kernels --extra notebooks --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --no-emit-find-links --quiet >> requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## remove the environment, the caches and the demo's figure
	rm -rf $(VENV) $(LOWEST) .pytest_cache .ruff_cache .hypothesis build dist $(FIGURE)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
