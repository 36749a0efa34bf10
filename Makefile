# Everything goes through .venv, which the first command creates and a changed requirements.txt renews.
# On Windows use Git Bash, or run the commands below by hand.
VENV := .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := $(VENV)/Scripts
else
PYTHON ?= python3
BIN := $(VENV)/bin
endif
# One target at a time, also with -j: they install into the same .venv and use all cores as it is.
.NOTPARALLEL:
# Not the names of files, although there are folders that could be called so.
.PHONY: help check run test test-slow test-colab test-lab lab site bench bench-report scale scale-report refresh lint \
	pins release clean

# A console that lacks a letter, as cp1252 lacks λ, shows a question mark and breaks nothing.
ifeq ($(findstring :,$(PYTHONIOENCODING)),)
export PYTHONIOENCODING := $(PYTHONIOENCODING):replace
endif

# The reader's own data: of the variables given to make itself (not of the environment's) those
# that are the notebooks' parameters, as NAME='value', with no letter of the value interpreted.
OWN := $(foreach name,$(filter MY_% DIGITS K ME,$(.VARIABLES)),$(if \
	$(findstring command,$(origin $(name))),$(name)))
unexport $(OWN)
quoted = '$(subst ','\'',$(value $(1)))'

# A .venv whose Python has gone, with an update of the system for instance, is no longer ready.
ifneq ($(wildcard $(VENV)/ready),)
$(shell $(BIN)/python -c '' >/dev/null 2>&1 || rm -f $(VENV)/ready)
endif

help:            ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

run: $(VENV)/ready      ## execute the notebooks and write pages to build/ (MY_PHOTO=~/holiday.jpg: on yours)
	@$(BIN)/python -m tools.execute run $(foreach name,$(OWN),$(name)=$(call quoted,$(name)))

test: lint              ## lint, unit tests, and every notebook's text outputs against new ones
	@TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --nbval --nbval-current-env

test-slow: $(VENV)/ready     ## what takes minutes: tables of real size, an installation from nothing
	@TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests

test-colab: $(VENV)/ready    ## execute each notebook as Colab does: alone in a folder, fetching the rest
	@$(BIN)/python -m pytest -m colab -n 2 tests/test_colab.py

test-lab: $(VENV)/lab $(VENV)/site  ## JupyterLab and the website in Chromium; pictures to build/lab/
	@$(BIN)/python -m pytest -m lab -rs tests

site: $(VENV)/site      ## build the website from the stored outputs into build/site/
	@$(BIN)/python -m tools.site

check:           ## say what is missing here, or in a version that was not tested
	@$$(test -x $(BIN)/python && echo $(BIN)/python || echo $(PYTHON)) -m tools.check

lab: $(VENV)/ready      ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab regression/linear_vs_ridge.ipynb

bench: $(VENV)/bench    ## time everything against the peers (BENCH="--quick", BENCH="--only photo")
	@$(BIN)/python -m benchmarks.run $(BENCH)

bench-report: $(VENV)/bench  ## publish the last whole `make bench`
	@$(BIN)/python -m benchmarks.run report

scale: $(VENV)/ready    ## time two workers on data that outgrow the machine (SCALE="--quick")
	@$(BIN)/python -m benchmarks.scale $(SCALE)

scale-report: $(VENV)/ready  ## publish the last whole `make scale`
	@$(BIN)/python -m benchmarks.scale report

refresh: $(VENV)/ready  ## re-execute the notebooks in place; a refresh without a change changes nothing
	@$(BIN)/python -m tools.refresh

lint: $(VENV)/ready     ## check style and formatting of modules and notebooks
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

pins:            ## compile requirements.in to requirements.txt with uv (UPGRADE=1: the newest versions)
	@$(PYTHON) -m tools.pins $(if $(UPGRADE),--upgrade)

release: $(VENV)/ready  ## make VERSION=... what links, notebooks and site point to
	@$(BIN)/python -m tools.release $(VERSION)

clean:           ## remove .venv, caches and build/, with the results in it (not data/)
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The file is written last: an installation that was cut off is taken up again.
$(VENV)/ready: requirements.txt
	@$(PYTHON) -m tools.install
	@touch $@

# What only some commands need: an extra of pyproject.toml, beside the pinned versions.
$(VENV)/bench $(VENV)/lab $(VENV)/site: $(VENV)/ready pyproject.toml
	@$(BIN)/python -m tools.install $(@F)
	@touch $@
