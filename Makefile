# make study   set up, run the default study and write its report
# make test    set up and run all tests (make test-fast: those of a few seconds each)
# make check   set up and run ruff and mypy
#
# ARGS adds settings to the study:  make study ARGS='budget.trials=40 space=small'
# STUDY names its folder:           make study STUDY=studies/mine
PYTHON ?= python3
STUDY ?= studies/$(shell date +%Y%m%d-%H%M%S)
BIN := .venv/bin
READY := .venv/.ready
# Two processes, a file of tests in one of them: most slow tests wait for Ray, not for a core.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: study test test-fast check setup
.DEFAULT_GOAL := study

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) -V). Name another: make PYTHON=python3.12"; exit 2; }
	@echo "Setting up .venv: about 6 GB on disk, once ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

study: $(READY)
	$(BIN)/python -m study output=$(STUDY) $(ARGS)
	$(BIN)/python -m analysis report $(STUDY)
	$(BIN)/python -m analysis select $(STUDY)

test: $(READY)
	$(PYTEST)

test-fast: $(READY)
	$(PYTEST) -m 'not slow'

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
