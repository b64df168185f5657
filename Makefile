# pgveil: what a checkout can do. `make` alone lists it.
#
# Needs Python 3.11, 3.12 or 3.13 with its venv module, make and a C compiler. Everything is installed into .venv,
# from requirements files that pin every package by version and hash. PYTHON=... chooses another interpreter.

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check --no-input --progress-bar on
CANDIDATES := $(or $(PYTHON),python3 python3.11 python3.12 python3.13)
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-clients bench fuzz check lint format lock clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: $(INSTALLED)  ## install pgveil into .venv

demo: $(INSTALLED)  ## start the demo and take the tour; TOUR=1 ends after the tour
	@$(PY) -m proxy demo $(if $(filter-out 0,$(TOUR)),--tour-only)

test: $(INSTALLED_DEV)  ## run every test
	$(PY) -m scripts.compile_native
	$(PY) -m pytest

test-clients: $(INSTALLED_DEV)  ## run the tests of clients that apt-get and npm install (Debian; root or sudo)
	@tests/e2e/clients/install.sh
	$(PY) -m pytest tests/e2e/clients

bench: $(INSTALLED)  ## measure what it costs, against pgbouncer (installed with apt-get) and the targets
	@command -v pgbouncer >/dev/null || PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null || bench/install.sh
	$(PY) -m scripts.compile_native
	$(PY) -m bench

fuzz: $(INSTALLED_DEV)  ## 10,000 statements at random as masked users; FUZZ=n of them, from case SEED=n on
	@$(PY) -m fuzz --statements $(or $(FUZZ),10000) --seed $(or $(SEED),0)

check: lint  ## check format, lint, types and the directions of imports
	@echo "make check: all good"

lint: $(INSTALLED_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(PY) -m mypy
	$(BIN)/lint-imports

format: $(INSTALLED_DEV)  ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## pin the requirements files again, to the newest versions (needs uv)
	$(LOCK) --upgrade pyproject.toml -o requirements.txt
	$(LOCK) --upgrade pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	$(LOCK) --upgrade --group build -c requirements-dev.txt -o requirements-build.txt

clean:  ## remove .venv, caches and the demo's database
	rm -rf $(VENV) build .pgveil .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The interpreter, checked before anything is made with it.
$(PY):
	@for candidate in $(CANDIDATES); do \
	  if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "make: creating $(VENV) with $$candidate ($$($$candidate -V))"; \
	    $$candidate -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	    exit 0; \
	  fi; \
	done; \
	echo "make: pgveil needs Python 3.11, 3.12 or 3.13; none of these is: $(CANDIDATES)" >&2; \
	echo "make: install one, or name one: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1

$(INSTALLED): requirements.txt requirements-build.txt pyproject.toml | $(PY)
	@echo "make: installing pgveil into $(VENV); the first time this takes a minute or two"
	$(PIP_INSTALL) --require-hashes -r requirements-build.txt
	$(PIP_INSTALL) --require-hashes -r requirements.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	$(PY) -m scripts.compile_native
	@touch $@

$(INSTALLED_DEV): requirements-dev.txt $(INSTALLED)
	@echo "make: installing what tests and checks need into $(VENV)"
	$(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@
