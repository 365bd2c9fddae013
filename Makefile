.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
# Dagster's home is this folder, where dagster.yaml stands; what it stores goes below data/.
export DAGSTER_HOME := $(CURDIR)
export DAGSTER_STORAGE_DIR := $(or $(TRADING_DATA_DIR),$(CURDIR)/data)/dagster
# What several processes import is compiled by the first of them, also where the shell says otherwise.
export PYTHONDONTWRITEBYTECODE :=

# A process of tests has half a core: more threads of the numeric libraries would wait for one another. Polars keeps its own.
fast unit coverage: export OMP_NUM_THREADS := 1
fast unit coverage: export OPENBLAS_NUM_THREADS := 1

.PHONY: help setup demo check fast test lint types definitions unit coverage ui bench soak docs clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.locked: pyproject.toml uv.lock .ci/setup .ci/promtool
	@.ci/setup
	@.ci/promtool
	@touch $@ .venv/.demo

.venv/.demo: pyproject.toml uv.lock .ci/setup # what demo and UI need: no test servers, linters or peers
	@.ci/setup --no-dev --inexact
	@touch $@

setup: .venv/.locked ## Put uv and a locked Python 3.13 environment into this folder

demo: .venv/.demo ## Run the main job on synthetic candles: data, models, backtests, promotion, paper trading
	$(BIN)/trading demo

check: setup ## The fast loop, side by side: lint, types, and the tests that start no node, server or Dagster run
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint types fast

fast: setup
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test: setup lint types definitions unit ## Everything that must pass: lint, types, definitions, tests

lint: setup ## Style, formatting and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: setup ## Strict type check
	$(BIN)/mypy

definitions: setup ## Load the Dagster code location as the UI does
	$(BIN)/python -c "import dagster; from trading_assets.definitions import defs; dagster.Definitions.validate_loadable(defs())"

unit: setup ## The tests; in four processes, as many tests wait for nodes and servers
	$(BIN)/pytest -n 4 --dist worksteal --durations=10

coverage: setup ## The tests with the share of lines that they run
	$(BIN)/pytest -n 4 --dist worksteal --cov --cov-report=term:skip-covered

ui: .venv/.demo ## Open the Dagster UI on http://localhost:3000
	$(BIN)/trading ui

bench: setup ## Time the hot paths beside a peer and print a table
	@.ci/setup --group bench
	$(BIN)/python -m benchmarks

soak: setup ## The long proofs (half an hour on two idle cores, and an hour of faults): placebo, timeframes, real orders
	$(BIN)/python -m tests.proof_tables
	$(BIN)/python -m tests.models.bundle_fuzz 400
	$(BIN)/python -m tests.screening.agreeing
	$(BIN)/trading placebo
	$(BIN)/trading placebo --side short
	$(BIN)/trading placebo --timeframe 1h
	$(BIN)/trading placebo --timeframe 1h --side short
	$(BIN)/trading placebo --estimator logistic
	$(BIN)/python -m benchmarks.memory --hours 48 --speed 120
	$(BIN)/python -m tests.live.soak 1000

docs: setup ## Generate the reference pages from the code
	$(BIN)/python -m trading_assets.settings.describe > docs/reference/settings.md
	$(BIN)/python -m trading_assets.store.describe > docs/reference/tables.md
	$(BIN)/python -m trading_assets.sql.describe > docs/reference/sql-models.md
	$(BIN)/python -m trading_live.metrics.describe > docs/reference/metrics-exported.md
	$(BIN)/python -m deploy.grafana.dashboards
	$(BIN)/python -m trading_assets.features.reference > docs/features.md
	$(BIN)/python -m trading_assets.features.pictures docs/images/features

clean: ## Remove what runs wrote (data/) and caches; keeps the environment
	git clean -fdXq -e '!.venv' -e '!.tools'
