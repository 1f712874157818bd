# Everything that the README promises, each one command; `make help` lists them.
PYTHON ?= python3
STAMP := $(shell date +%Y%m%d-%H%M%S)
NAME ?= returns_4d-$(STAMP)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help env search reproduce test test-cluster coverage slow soak lint overhead bench portfolio peers docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/ready ## the environment .venv, with pinned versions

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "make env needs the module venv (Debian: python3-venv)"; exit 2; }
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

search: env ## a real search on returns_4d, its leaderboard, and the exported winner with 1000 sampled rows
	$(BIN)/genseek run returns_4d --name $(NAME)
	$(BIN)/genseek export $(NAME) --out exports/$(NAME)
	$(BIN)/genseek sample exports/$(NAME) -n 1000 --out exports/$(NAME)/samples.csv

reproduce: env ## every published configuration, and what a search finds instead (ARGS=--quick for a small one)
	$(BIN)/python benchmarks/reproduce.py $(ARGS)

test: env ## the default tests, in two processes that keep the tests of a file together
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

coverage: env ## the default tests traced; Ray's workers are processes of their own, whose lines don't count
	$(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=90

slow: env ## the slower tests: whole searches, every page of the documentation, many rows, browser
	$(BIN)/python -m pytest -m slow --numprocesses 3 --dist worksteal --durations=15
	$(BIN)/python -m pytest -m "browser and not slow"

soak: env ## twenty kills of a search at random moments, and two hundred random tables; `make slow` has three and ten
	GENSEEK_TEST_KILLS=20 $(BIN)/python -m pytest -m slow tests/search/run/test_resume.py -k many_moments
	GENSEEK_TEST_TABLES=200 $(BIN)/python -m pytest -m slow --numprocesses 2 tests/search/run/test_fuzz.py

test-cluster: env ## searches on several Ray nodes, each a host of its own in network namespaces; needs root
	$(BIN)/python -m pytest -m cluster tests/cluster --durations=15

lint: env ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

overhead: env ## results a second that a search takes in: plain Ray Tune and genseek, each without and with MLflow
	$(BIN)/python benchmarks/overhead.py

bench: env ## the tables of docs/performance.md, in an hour or so (ARGS=--quick to see that all works)
	$(BIN)/python benchmarks/throughput.py $(ARGS)
	$(BIN)/python benchmarks/whole_search.py $(ARGS)
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/scaling.py $(ARGS)
	$(BIN)/python benchmarks/cluster.py $(ARGS)
	$(BIN)/python benchmarks/regret.py $(ARGS)
	$(BIN)/python benchmarks/store.py $(ARGS)
	$(BIN)/python benchmarks/halving.py $(ARGS)
	$(BIN)/python benchmarks/finalists.py $(ARGS)
	$(BIN)/python benchmarks/ranking.py $(ARGS)
	$(BIN)/python benchmarks/winners.py $(ARGS)

portfolio: env ## first points for table and all_families, and what ranks well, on small tables that packages ship
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[benchmarks]'
	$(BIN)/python benchmarks/portfolio.py $(ARGS)
	$(BIN)/python benchmarks/ranking.py --tables $(ARGS)

docs: env ## the documentation site in site/, strict: a broken link or anchor fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

peers: .venv-peers/ready ## genseek beside copulas, flows, forests, CTGAN and TVAE on fourteen tables; hours (ARGS=--quick)
	.venv-peers/bin/python benchmarks/peers.py $(ARGS)

.venv-peers/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[vine,benchmarks]' \
		sdv arfpy ForestDiffusion zuko
	@touch $@

clean: ## remove the environment and caches, keep stores and exports
	rm -rf .venv .venv-peers .peers build *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov site
