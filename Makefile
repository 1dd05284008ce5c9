# The two commands that matter: `make demo` and `make test`. Both do their own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# What pytest compiles is kept for the next time.
PYTEST := PYTHONDONTWRITEBYTECODE= bash tools/test.sh $(BIN)/pytest --dist loadgroup
# Three for two cores, since many tests wait for a server; each worker starts servers of its own.
WORKERS ?= 3
SLOW_WORKERS ?= 3

.PHONY: help install wheel release demo test test-slow test-all test-kills test-sops test-kube lint check docs reference bench fuzz soak lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

install: $(VENV)/.installed  ## build .venv from requirements.lock

# uv is fetched by pip into .tools when the machine has none, so that nothing outside this folder changes.
$(VENV)/.installed: requirements.lock pyproject.toml tools/install.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash tools/install.sh
	@touch $@

wheel: install  ## build the wheel into dist/
	@$(BIN)/python -m hatchling build --target wheel --directory dist

release: install  ## dist/release: distributions, SBOM and hashes of the last commit; fails on known vulnerabilities
	@bash tools/release.sh

demo: install  ## two real OpenBao servers, the paper's example, step by step (ARGS=--once exits by itself)
	@$(BIN)/secretsync demo $(ARGS)

test: install  ## the tests that a change needs, some minutes, against real servers on loopback
	@$(PYTEST) -n $(WORKERS) -m "not slow and not nightly" $(ARGS)

test-slow: install  ## those that `make test` leaves out: whole programs, and many rounds of what it tries once
	@$(PYTEST) -n $(SLOW_WORKERS) -m "slow and not nightly" $(ARGS) || [ $$? -eq 5 ]  # 5: there is none of them in ARGS

test-all: test test-slow  ## every test but the nightly ones

test-kills: install  ## nightly: what takes many minutes, such as Dagster runs that die in every way, with the figures
	@$(BIN)/pytest -m nightly -s --show-capture=no $(ARGS)

test-sops: install  ## the sops store against sops itself, which Go builds once into ~/.cache
	@SECRETSYNC_TEST_BUILDS_SOPS=1 $(PYTEST) --timeout 600 $(filter-out %_conformance.py,$(wildcard tests/stores/test_sops*.py)) tests/examples/test_vault_to_sops.py $(ARGS)

test-kube: install  ## Kubernetes against a real kube-apiserver, which Go builds once, with etcd, into ~/.cache
	@SECRETSYNC_TEST_REAL_KUBE=1 $(PYTEST) --timeout 11000 tests/stores/test_kubernetes_conformance.py tests/stores/kube tests/examples/test_vault_to_kubernetes.py tests/deploy/test_real_api_server.py $(ARGS)

check: lint docs test  ## the gate before a commit: lint, the documentation's site, then `make test`

lint: install  ## format, lint, strict types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: install  ## build/site, the documentation; a broken link or anchor is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

reference: install  ## write docs/reference anew from the code
	@$(BIN)/python -m tools.docs

bench: install  ## the figures of docs/performance.md
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: install  ## documents, templates, servers and ledgers made up at random (ARGS="servers --seed 5 --count 10000")
	@$(BIN)/python -m fuzz $(ARGS)

soak: install  ## killed and hindered runs held to a model (ARGS="--seed 1 --minutes 5 --parts 0,1,5")
	@$(BIN)/python -m soak $(ARGS)

lock: install  ## renew requirements.lock from pyproject.toml
	@bash tools/lock.sh

clean:  ## remove what the build made
	rm -rf $(VENV) .tools build/site .mypy_cache .ruff_cache .pytest_cache .demo
