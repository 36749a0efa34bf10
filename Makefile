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
# Not the names of files, although there are folders that could be called so.
.PHONY: help check run test test-colab test-lab lab site bench bench-report refresh lint clean

help:            ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

run: $(VENV)/ready      ## execute the four notebooks, write HTML pages to build/, print a table
	@$(BIN)/python -m tools.execute run

test: lint              ## everything that proves the collection: lint, unit tests, strict nbval
	@TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --nbval --nbval-current-env

test-colab: $(VENV)/ready    ## execute each notebook as Colab does: alone in a folder, fetching the rest
	@$(BIN)/python -m pytest -m colab -n 2 tests/test_ways_in.py

test-lab: $(VENV)/lab $(VENV)/site  ## JupyterLab and the website in Chromium; pictures to build/lab/
	@$(BIN)/python -m pytest -m lab -rs tests

site: $(VENV)/site      ## build the website from the stored outputs into build/site/
	@$(BIN)/python -m tools.site

check:           ## say what is missing here, or in a version that was not tested
	@$$(test -x $(BIN)/python && echo $(BIN)/python || echo $(PYTHON)) -m common.environment

lab: $(VENV)/ready      ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab regression/linear_vs_ridge.ipynb

bench: $(VENV)/bench    ## time everything against the peers (BENCH="--quick", BENCH="--only photo")
	@$(BIN)/python -m benchmarks.run $(BENCH)

bench-report: $(VENV)/bench  ## copy the last whole `make bench` into README.md
	@$(BIN)/python -m benchmarks.run report

refresh: $(VENV)/ready  ## re-execute the notebooks in place; a refresh without a change changes nothing
	@$(BIN)/python -m tools.execute refresh

lint: $(VENV)/ready     ## check style and formatting of modules and notebooks
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

clean:           ## remove what the other commands made: .venv, build/, caches (not data/)
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The file is written last: an installation that was cut off is taken up again.
$(VENV)/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; PYTHON=... names another one")'
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# What only some commands need: an extra of pyproject.toml, beside the pinned versions.
$(VENV)/bench $(VENV)/lab $(VENV)/site: $(VENV)/ready pyproject.toml
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(@F)"], sep="\n")' > $@.txt
	@echo "Installing the extra $(@F) into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -r $@.txt \
	|| { test $(@F) = bench && while read -r one; do \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt "$$one" </dev/null \
	|| echo "$$one cannot be installed here: what needs it will be skipped"; done < $@.txt; }
	@touch $@
