# Everything a developer does. `make demo` and `make test` set up what they need; both can be run again at any time.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_WORKERS ?= auto

.PHONY: help install demo test test-latest test-oldest peers conformance packages lint format type bench bench-batch bench-langchain bench-llama-index soak serve \
  notebooks clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# The stamp is rebuilt when a file that says what to install has changed.
$(STAMP): pyproject.toml infrai/pyproject.toml scripts/bootstrap
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash scripts/bootstrap
	@touch "$(STAMP)"

install: $(STAMP) ## Make the virtual environment and install everything into it

demo: $(STAMP) ## Index documents and answer questions with LlamaIndex and LangChain, offline
	@"$(BIN)/infrai" demo

test: $(STAMP) ## Run all tests
	@"$(BIN)/python" -m pytest -n $(PYTEST_WORKERS) --dist worksteal

test-latest: $(STAMP) ## Run LangChain's tests on langchain-core 1.8.4
	@VENV="$(VENV)" PYTEST_WORKERS="$(PYTEST_WORKERS)" bash scripts/langchain_core 1.8.4

test-oldest: $(STAMP) ## Run LangChain's tests on the oldest langchain-core that is allowed
	@VENV="$(VENV)" PYTEST_WORKERS="$(PYTEST_WORKERS)" bash scripts/langchain_core 1.7.2 1.4.7

peers: ## Make the environment of other people's clients, which tests/peers runs against the runtime
	@PYTHON="$(PYTHON)" bash scripts/peers clients

conformance: ## Run the LlamaIndex conformance suites over a peer, in an environment of its own
	@PYTHON="$(PYTHON)" bash scripts/conformance

packages: ## Show that the wheel works alone and beside LlamaIndex's own packages, in environments of its own
	@PYTHON="$(PYTHON)" bash scripts/packages

lint: $(STAMP) ## Check style
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .

format: $(STAMP) ## Fix style
	@"$(BIN)/ruff" check --fix .
	@"$(BIN)/ruff" format .

type: $(STAMP) ## Check types
	@"$(BIN)/mypy" src infrai/src benchmarks scripts/run_notebooks.py

bench: $(STAMP) ## Measure overheads and score the offline chat model; writes benchmarks/results
	@"$(BIN)/python" -m benchmarks

bench-batch: $(STAMP) ## Measure a batch job of 100,000 requests: rates, CPU, memory; writes docs/benchmarks
	@"$(BIN)/python" -m benchmarks.batch

bench-langchain: $(STAMP) ## Compare ChatInfrai with its peers, in an environment of their own; writes docs/benchmarks
	@"$(BIN)/python" -m benchmarks.langchain

bench-llama-index: $(STAMP) ## Compare Infrai with LlamaIndex's peers, in an environment of their own; writes docs/benchmarks
	@"$(BIN)/python" -m benchmarks.llama_index

SOAK ?= --minutes 10 --callers 100
soak: $(STAMP) ## Random faults and kill -9 under concurrent callers, then compare the books (SOAK="--minutes 2 --seed 7", SOAK=--help)
	@"$(BIN)/python" -m tests.soak $(SOAK)

serve: $(STAMP) ## Serve the runtime on http://127.0.0.1:8402
	@"$(BIN)/infrai" serve

notebooks: $(STAMP) ## Execute the notebooks in place
	@"$(BIN)/python" scripts/run_notebooks.py

clean: ## Remove the virtual environment and caches
	rm -rf "$(VENV)" .pytest_cache .mypy_cache .ruff_cache
