# Two commands do all the set-up: `make search` and `make test`. Both may be repeated.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# A file of tests is run by one process, since its tests share what is slow to make: a local Ray, a profile, counts.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: search test check docs clean

search: .venv/installed  ## Search the embedded default within a latency budget measured on this CPU.
	$(BIN)/senas search se-resnet-digits --latency-budget 70%

test: .venv/installed-dev  ## Every check there is.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(PYTEST)

check: .venv/installed-dev  ## Format, lint, types and the quick tests: those without the marker `slow`.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(PYTEST) -m "not slow"

docs: .venv/installed-dev  ## Build the documentation as a site, in site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:  ## Remove the environment and what tools leave behind; runs are kept.
	rm -rf .venv .pytest_cache .ruff_cache build dist site

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv, which takes a few minutes the first time"
	$(INSTALL) --editable .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv, which takes a few minutes the first time"
	$(INSTALL) --editable ".[dev]"
	@touch $@ .venv/installed
