# Needs make, a network and Python 3.11, 3.12 or 3.13; everything else is installed into .venv on first use.
# Windows: see README.md, which gives the same commands in plain pip.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# The first of these that is a Python RetinaJ runs on; choose another with `make test PYTHON=/path/to/python`.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	if $$python -c '$(SUITS)' 2>/dev/null; then echo $$python; exit; fi; done; echo python3)

# Some containers set it; TensorFlow without its bytecode cache takes ten seconds longer to import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install test demo format lock

help:
	@echo "make demo            train, evaluate, package and run in ImageJ, on example images (about 8 minutes)"
	@echo "make demo DATA=DIR   the same on your images: JPEGImages, Annotations, ImageSets/Main (PASCAL VOC)"
	@echo "make test            all checks and tests"
	@echo "make install         only install RetinaJ into $(VENV)"
	@echo "make format          format the code and apply the linter's safe fixes"
	@echo "make lock            pin the newest versions that pyproject.toml allows in requirements.lock"

install: $(STAMP)

# Scripts and the editable install hold the folder's full path: in a folder that was moved, all is made anew.
ifneq "$(shell cat $(STAMP) 2>/dev/null)" "$(CURDIR)"
.PHONY: $(STAMP)
endif

# The stamp holds that path and is written last: an interrupted installation is never taken for a finished one. After an
# interruption, a move, or the loss of its Python, .venv is made afresh; pip has kept what it had downloaded.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c '$(SUITS)' 2>/dev/null || { \
		echo "RetinaJ needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)."; \
		echo "Install one and run: make $(or $(MAKECMDGOALS),help) PYTHON=/path/to/python3.11"; exit 1; } >&2
	@if [ -e $(VENV)/.installing ] || { [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$$(pwd -P)" ]; } \
		|| ! $(BIN)/python -c '$(SUITS)' 2>/dev/null || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); fi
	@rm -f $(STAMP); touch $(VENV)/.installing
	@echo "Installing RetinaJ and the libraries of requirements.lock into $(VENV): a few minutes, once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@rm $(VENV)/.installing
	@pwd -P > $(STAMP)

# pytest comes last, so that its closing line is the last thing printed. Two processes, each taking whole files, so that a
# file's costly fixtures are made once; more would need more memory than a laptop has.
test: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/python -m pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist loadfile

demo: $(STAMP)
	$(BIN)/retinaj demo $(if $(DATA),--data "$(DATA)")

format: $(STAMP)
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

# One file for Linux, Windows and macOS and for every supported Python, by markers; hashes, but no addresses. The
# resolver lives in an environment of its own, which is thrown away.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade --no-config \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock
	rm -rf build/lock
