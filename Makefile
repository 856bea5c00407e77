# The course's commands. `make lab` and `make test` start from nothing; both do nothing twice.
#
#   make lab PORT=9000          another port          make lab NO_BROWSER=1     only print the address
#   make lab PYTHON=python3.12  another Python        make test ARGS="-k data"  arguments for pytest (make check, too)
#   make test JOBS=1            one test at a time, for a machine that is busy or has one core
#   make lab PIP_FLAGS="..."    arguments for pip, such as an index with a smaller build of PyTorch
#   make bench ARGS="--only train,decode --threads 1 --json rows.json"     python -m benchmarks --help says more

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8888
NO_BROWSER ?=
PIP_FLAGS ?=
ARGS ?=
JOBS ?= 3
FIRST_LESSON := notebooks/00_start_here.ipynb

# the first of these that is new enough; empty if none is
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
endif
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt
# bytecode is kept: a hundred kernels read what one has compiled
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 MOE_LITE_BUDGET=ci $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder
LAB_FLAGS = --notebook-dir=. --custom-css --LabApp.default_url=/lab/tree/$(FIRST_LESSON) --ServerApp.ip=localhost --port=$(PORT)
LAB_FLAGS += $(if $(NO_BROWSER),--no-browser) $(if $(filter 0,$(shell id -u)),--allow-root)

# An environment knows its own folder by name: in a folder that was moved or copied it is made anew.
MADE_IN := $(if $(wildcard $(VENV)/made_in),$(shell cat $(VENV)/made_in))
ifneq ($(MADE_IN),$(if $(MADE_IN),$(CURDIR)))
ifeq ($(filter clean help,$(or $(MAKECMDGOALS),help)),)
$(error this folder was $(MADE_IN) when its environment was made, and $(VENV) still points there. Run `make clean`, \
then this command again; your notebooks and progress stay)
endif
endif

.PHONY: help lab check test lint format notebooks site bench budget runs balance experts data clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

lab: $(VENV)/lab.stamp data/corpus/.complete ## set up what is missing and open the first lesson in JupyterLab
	@$(BIN)/jupyter trust notebooks/*.ipynb >/dev/null # else JupyterLab hides the pictures of cells that have not run
	@$(BIN)/python -m moe_lite.look.page # how a lesson's page is set; --custom-css loads it
	@echo "Opening $(FIRST_LESSON). If no browser opens, copy the address with ?token= from below into one."
	$(BIN)/jupyter lab $(LAB_FLAGS)

check: JOBS = 2 # nothing waits for a page here, and each process imports and collects anew
check: $(VENV)/test.stamp data/corpus/.complete lint ## lint and run the tests that are quick, without notebooks and pages: for every commit
	$(PYTEST) -m "not notebook and not browser and not slow" $(ARGS)

test: $(VENV)/test.stamp data/corpus/.complete lint ## set up what is missing, then lint and run every test
	$(PYTEST) $(ARGS)

lint: $(VENV)/test.stamp ## check the code's style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/test.stamp ## put the code into the style that lint checks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/test.stamp data/corpus/.complete ## build the lessons' notebooks from solutions/
	OMP_NUM_THREADS=1 $(BIN)/python tools/build_notebooks.py $(ARGS)

site: $(VENV)/test.stamp ## build the page for the browser, with the lessons to read, in _site/
	$(BIN)/python tools/build_site.py $(ARGS)

bench: $(VENV)/test.stamp data/corpus/.complete ## measure speed against other libraries, in about five quiet minutes
	$(BIN)/python -m benchmarks $(ARGS)

budget: $(VENV)/test.stamp data/corpus/.complete ## measure time and memory of every lesson's notebooks
	$(BIN)/python -m benchmarks.budget $(ARGS)

runs: $(VENV)/test.stamp data/corpus/.complete ## record the trainings in data/runs/ that are not there yet
	OMP_NUM_THREADS=1 $(BIN)/python tools/record_runs.py $(ARGS)

balance: $(VENV)/test.stamp data/corpus/.complete ## record the trainings in data/balance/ and the planted failures not there yet
	OMP_NUM_THREADS=1 $(BIN)/python tools/record_balance.py $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/python tools/record_failures.py

experts: $(VENV)/test.stamp data/corpus/.complete ## record what the experts of trained models do, in data/experts/
	OMP_NUM_THREADS=1 $(BIN)/python tools/record_specialisation.py $(ARGS)

data: $(VENV)/lab.stamp ## download and build the corpora, or check that they are whole
	$(BIN)/python -m moe_lite.corpora
	@$(encode)

clean: ## remove the environment, the corpora and caches; notebooks and progress stay
	rm -rf $(VENV) site/node_modules data/corpus data/.corpus-*.partial data/wheels .pytest_cache .ruff_cache
	find moe_lite tests tools solutions benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Stamps: each is made once, and again when what it depends on changes.

$(VENV)/venv.stamp:
	@$(need_python)
	@echo "1/3 Creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "$(CURDIR)" > $(VENV)/made_in
	@touch $@

$(VENV)/lab.stamp: $(VENV)/venv.stamp constraints.txt pyproject.toml
	@echo "2/3 Installing PyTorch, JupyterLab and what they need: about 300 MB to download"
	@echo "    (with NVIDIA's libraries, which pip chooses on Linux unless told otherwise, some GB)"
	$(INSTALL) -e .
	@touch $@

# npm and node come from the test extra; TypeScript checks the types of the page's scripts, esbuild makes them small
$(VENV)/test.stamp: $(VENV)/lab.stamp site/package.json site/package-lock.json
	@echo "Installing what the tests need: about 145 MB to download"
	$(INSTALL) -e ".[test]"
	cd site && PATH="$(abspath $(BIN)):$$PATH" npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# Not made if something could not be downloaded: the next `make` tries again, and the lessons run with what is there.
data/corpus/.complete: data/SHA256SUMS data/sources.toml | $(VENV)/lab.stamp
	@echo "3/3 Building the corpora: 27 MB to download, 7 MB of text, about 20 seconds"
	@$(BIN)/python -m moe_lite.corpora
	@$(encode)

# The first load encodes the corpora and keeps the token ids, so that no lesson waits for it. What is missing was said
# by the builder, hence no warning.
encode = $(BIN)/python -W ignore -c "from moe_lite.data import load_corpora; load_corpora()"

define need_python
if [ -z "$(PYTHON)" ]; then \
	echo "moe-lite needs Python 3.11 or newer; here is $$(python3 --version 2>&1 || true)." >&2; \
	echo "Install one, or name it: make lab PYTHON=/path/to/python3.12" >&2; exit 1; \
elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	echo "moe-lite needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; exit 1; \
elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	echo "$(PYTHON) cannot create virtual environments: its venv module is missing." >&2; \
	echo "On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; \
fi
endef
