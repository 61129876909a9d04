# Everything a developer or a curious administrator types. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint unit bench docs soak mutants run pins clean

demo: $(VENV)/.demo            ## the main job, shown on a server of its own
	@$(BIN)/syncd demo

test: $(VENV)/.dev             ## everything
	@tests/run

lint: $(VENV)/.dev             ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: $(VENV)/.dev             ## the fast tests
	@$(BIN)/pytest -n 2 tests/unit tests/properties

bench: $(VENV)/.dev            ## one JSON line a bar
	@$(BIN)/python -m bench

docs: $(VENV)/.dev             ## writes the generated part of the reference
	@$(BIN)/python -m docs.generate

soak: $(VENV)/.dev             ## a million steps of the engine's property test
	@$(BIN)/python -m tests.properties.soak --steps 1000000

mutants: $(VENV)/.dev          ## faults put in by hand: do the fast tests see each of them?
	@$(BIN)/python -m tests.properties.mutants

run: $(VENV)/.demo             ## the service, with the configuration in this folder
	@$(BIN)/syncd run

pins:                          ## compile the requirements anew
	@for name in run demo dev; do \
	  extra=$$([ $$name = run ] || echo "--extra $$name"); \
	  uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --no-annotate $$extra -o requirements/$$name.txt pyproject.toml && \
	  sed -i '1i # Compiled from pyproject.toml by "make pins"; installed with pip --require-hashes.' requirements/$$name.txt; \
	done

clean:                         ## removes the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Debian's python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; \
	  else echo "python3-venv is missing: apt-get install python3-venv"; exit 1; fi; $(PYTHON) -m venv $(VENV); }

# What an earlier set of pins brought is gone with it: two libraries may want one name.
$(VENV)/.demo: $(BIN)/python requirements/demo.txt
	@if [ -e $(VENV)/.dev ]; then $(MAKE) -s $(VENV)/.dev; else \
	  if [ -e $@ ]; then $(PYTHON) -m venv --clear $(VENV); fi && echo "installing (once)" && \
	  $(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/demo.txt && \
	  $(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; fi
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements/dev.txt
	@if [ -e $@ ]; then $(PYTHON) -m venv --clear $(VENV); fi
	@echo "installing (once)"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
